import { describe, expect, it } from 'vitest';
import { WindowedMin } from '../../../../src/policy/windowed-min.ts';

describe('WindowedMin', () => {
  const create = () => new WindowedMin({ samples: 3, maxAgeMs: 100 });

  it('has no value before the first sample', () => {
    expect(create().value(0)).toBeNull();
  });

  it('is the least of the latest samples, however noisy the others are', () => {
    const least = create();
    for (const value of [5, 2, 90]) least.add(value, 0);
    expect(least.value(0)).toBe(2);
    least.add(70, 0);
    expect(least.value(0)).toBe(2);
    least.add(60, 0);
    expect(least.value(0)).toBe(60);
  });

  it('forgets a sample the millisecond after it is too old', () => {
    const least = create();
    least.add(1, 0);
    least.add(9, 50);
    expect(least.value(100)).toBe(1);
    expect(least.value(101)).toBe(9);
    expect(least.value(151)).toBeNull();
  });
});
