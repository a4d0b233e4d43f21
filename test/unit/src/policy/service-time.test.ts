import { describe, expect, it } from 'vitest';
import { ServiceTime } from '../../../../src/policy/service-time.ts';

function measured(...runs: readonly (readonly [elements: number, ms: number])[]): ServiceTime {
  const service = new ServiceTime();
  for (const [elements, ms] of runs) service.record(elements, ms);
  return service;
}

describe('ServiceTime', () => {
  it('knows nothing before the first run', () => {
    expect(new ServiceTime().estimateMs(1)).toBeNull();
  });

  it('finds the fixed part and the part for each element', () => {
    const service = measured([100, 12], [200, 14], [800, 26]);
    expect(service.estimateMs(100)).toBeCloseTo(12);
    expect(service.estimateMs(400)).toBeCloseTo(18);
    expect(service.estimateMs(400, 3)).toBeCloseTo(38);
  });

  it('takes twice the size of the only one that was measured for twice the time', () => {
    const service = measured([100, 10], [100, 10]);
    expect(service.estimateMs(100)).toBeCloseTo(10);
    expect(service.estimateMs(200)).toBeCloseTo(20);
  });

  it('takes the mean where inputs have no elements', () => {
    expect(measured([0, 4], [0, 4]).estimateMs(0)).toBeCloseTo(4);
  });

  it('follows a model whose times change', () => {
    const service = measured(...Array.from({ length: 200 }, () => [100, 10] as const));
    for (let run = 0; run < 200; run += 1) service.record(100, 50);
    expect(service.estimateMs(100)).toBeCloseTo(50, 0);
  });

  it('never estimates less for more, or less than nothing', () => {
    const falling = measured([100, 20], [1000, 10]);
    expect(falling.estimateMs(10)).toBeGreaterThan(0);
    expect(falling.estimateMs(10_000)).toBeGreaterThanOrEqual(falling.estimateMs(10) ?? 0);
    expect(measured([100, 1], [1000, 100]).estimateMs(1)).toBeGreaterThanOrEqual(0);
  });

  it('takes a run for four times what was expected at most', () => {
    const service = measured(...Array.from({ length: 100 }, () => [100, 10] as const));
    service.record(100, 10_000);
    expect(service.estimateMs(100)).toBeLessThan(12);
  });

  it('begins with what was known before, and goes back to it', () => {
    const service = new ServiceTime([
      { elements: 100, ms: 12 },
      { elements: 200, ms: 14 },
    ]);
    expect(service.estimateMs(400)).toBeCloseTo(18);
    for (let run = 0; run < 50; run += 1) service.record(100, 40);
    expect(service.estimateMs(100)).toBeGreaterThan(30);
    service.reset();
    expect(service.estimateMs(400)).toBeCloseTo(18);
  });
});
