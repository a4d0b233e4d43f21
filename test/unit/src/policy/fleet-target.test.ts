import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FleetTarget } from '../../../../src/policy/fleet-target.ts';

describe('FleetTarget', () => {
  it('grows at once, to at most twice as many or four more within 15 s', () => {
    const target = new FleetTarget({ min: 1, max: 100 });
    expect(target.next(3, 2, 0)).toBe(3);
    expect(target.next(50, 3, 1_000)).toBe(7);
    expect(target.next(50, 7, 10_000)).toBe(7);
    expect(target.next(50, 7, 16_000)).toBe(14);
    expect(target.next(50, 14, 32_000)).toBe(28);
  });

  it('shrinks only to the most that was needed over the cool-down', () => {
    const target = new FleetTarget({ min: 1, max: 10, coolDownMs: 60_000 });
    expect(target.next(5, 5, 0)).toBe(5);
    expect(target.next(3, 5, 30_000)).toBe(5);
    expect(target.next(1, 5, 59_999)).toBe(5);
    expect(target.next(1, 5, 60_000)).toBe(3);
    expect(target.next(1, 3, 90_001)).toBe(1);
  });

  it('orders no fewer than are there and needed, when more come into view than pace allows', () => {
    const target = new FleetTarget({ min: 1, max: 100 });
    expect(target.next(4, 4, 0)).toBe(4);
    expect(target.next(10, 10, 2_000)).toBe(10);
  });

  it('keeps its order when some of those that are there go out of view', () => {
    const target = new FleetTarget({ min: 1, max: 100 });
    expect(target.next(10, 10, 0)).toBe(10);
    expect(target.next(10, 3, 2_000)).toBe(10);
    expect(target.next(50, 3, 4_000)).toBe(10);
  });

  it('stays within its bounds, whatever is needed', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ hosts: fc.nat(1_000), present: fc.nat(1_000), afterMs: fc.nat(60_000) }),
        ),
        (looks) => {
          const target = new FleetTarget({ min: 2, max: 9 });
          let nowMs = 0;
          for (const { hosts, present, afterMs } of looks) {
            nowMs += afterMs;
            const next = target.next(hosts, present, nowMs);
            expect(next).toBeGreaterThanOrEqual(2);
            expect(next).toBeLessThanOrEqual(9);
          }
        },
      ),
    );
  });
});
