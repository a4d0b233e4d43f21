import { describe, expect, it } from 'vitest';
import { isWorthWaking, soonestMs } from '../../../../src/policy/wake-turn.ts';

describe('isWorthWaking', () => {
  it('is true where nobody loads the version', () => {
    expect(isWorthWaking(null, [])).toBe(true);
  });

  it('is false while another loads it about as soon, or does not say when', () => {
    expect(isWorthWaking(800, [{ etaMs: 2_600, forMs: 0 }])).toBe(false);
    expect(isWorthWaking(null, [{ etaMs: 60_000, forMs: 0 }])).toBe(false);
    expect(isWorthWaking(800, [{ etaMs: null, forMs: 0 }])).toBe(false);
    expect(
      isWorthWaking(800, [
        { etaMs: 60_000, forMs: 0 },
        { etaMs: 900, forMs: 0 },
      ]),
    ).toBe(false);
  });

  it('is true where the others fetch it and the files are here', () => {
    expect(isWorthWaking(800, [{ etaMs: 2_601, forMs: 0 }])).toBe(true);
  });

  it('is true where a load takes three times as long as it was said to, and at least fifteen seconds', () => {
    expect(isWorthWaking(800, [{ etaMs: 700, forMs: 14_999 }])).toBe(false);
    expect(isWorthWaking(800, [{ etaMs: 700, forMs: 15_000 }])).toBe(true);
    expect(isWorthWaking(null, [{ etaMs: 60_000, forMs: 179_999 }])).toBe(false);
    expect(isWorthWaking(null, [{ etaMs: 60_000, forMs: 180_000 }])).toBe(true);
  });
});

describe('soonestMs', () => {
  it('is the least that anybody says', () => {
    expect(soonestMs([{ etaMs: 7 }, { etaMs: null }, { etaMs: 5 }])).toBe(5);
    expect(soonestMs([{ etaMs: null }])).toBeNull();
  });
});
