import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DemandMeter } from '../../../../../src/policy/scaling/demand-meter.ts';

const WINDOWS = { stableWindowMs: 60_000, panicWindowMs: 6_000 };

describe('DemandMeter', () => {
  it('tells a steady rate over both windows once they are full', () => {
    const meter = new DemandMeter(WINDOWS);
    for (let atMs = 0; atMs < 120_000; atMs += 100) meter.arrived(atMs);
    const { stable, panic } = meter.read(120_000);
    expect(stable.arrivalsPerS).toBeCloseTo(10, 1);
    expect(panic.arrivalsPerS).toBeCloseTo(10, 1);
  });

  it('shows a crowd in the panic window ten times as soon as in the stable one', () => {
    const meter = new DemandMeter(WINDOWS);
    for (let atMs = 120_000; atMs < 126_000; atMs += 10) meter.refused(atMs);
    const { stable, panic } = meter.read(126_000);
    expect(panic.refusalsPerS).toBeCloseTo(100, 0);
    expect(stable.refusalsPerS).toBeCloseTo(10, 0);
  });

  it('forgets what is older than a window, whatever the gap', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1e6 }),
        fc.integer({ min: 61_000, max: 1e9 }),
        (at, gap) => {
          const meter = new DemandMeter(WINDOWS);
          meter.missed(at);
          expect(meter.read(at).stable.coldMissesPerS).toBeGreaterThan(0);
          expect(meter.read(at + gap).stable.coldMissesPerS).toBe(0);
        },
      ),
    );
  });

  it('keeps the sum over peers right while requests move from one to another', () => {
    const [from, to] = [new DemandMeter(WINDOWS), new DemandMeter(WINDOWS)];
    for (let atMs = 0; atMs < 200_000; atMs += 50) {
      (atMs < 130_000 ? from : to).arrived(atMs);
      if (atMs < 60_000 || atMs % 1_000 !== 0) continue;
      const sum = [from, to].reduce((total, meter) => {
        return total + meter.read(atMs).stable.arrivalsPerS;
      }, 0);
      expect(sum).toBeGreaterThan(19.5);
      expect(sum).toBeLessThan(20.5);
    }
  });

  it('averages what runs or waits over the panic window', () => {
    const meter = new DemandMeter(WINDOWS);
    meter.arrived(100_000);
    meter.arrived(100_000);
    meter.left(103_000);
    expect(meter.read(106_000).inFlight).toBeCloseTo(1.5, 5);
    meter.left(106_000);
    expect(meter.read(120_000).inFlight).toBe(0);
  });

  it('averages waits over the panic window, and remembers a service time for good', () => {
    const meter = new DemandMeter(WINDOWS);
    expect(meter.read(0)).toMatchObject({ queueWaitMs: 0, serviceTimeMs: null });
    meter.served(10, 30, 1_000);
    meter.served(30, 50, 1_000);
    expect(meter.read(1_000)).toMatchObject({ queueWaitMs: 20, serviceTimeMs: 40 });
    expect(meter.read(1_000_000)).toMatchObject({ queueWaitMs: 0, serviceTimeMs: 40 });
  });
});
