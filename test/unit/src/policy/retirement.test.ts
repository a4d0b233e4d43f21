import { describe, expect, it } from 'vitest';
import { isRetirable, lookIntervalMs, RETIRE_AFTER_MS } from '../../../../src/policy/retirement.ts';

describe('isRetirable', () => {
  const idle = { current: false, busy: false, idleMs: RETIRE_AFTER_MS };

  it('lets go what no channel points at and nobody has asked for long enough, to the millisecond', () => {
    expect(isRetirable(idle, RETIRE_AFTER_MS)).toBe(true);
    expect(isRetirable({ ...idle, idleMs: RETIRE_AFTER_MS - 1 }, RETIRE_AFTER_MS)).toBe(false);
  });

  it('keeps what a channel points at however long nobody asks, and what is being asked for', () => {
    expect(isRetirable({ ...idle, current: true, idleMs: Infinity }, RETIRE_AFTER_MS)).toBe(false);
    expect(isRetirable({ ...idle, busy: true }, RETIRE_AFTER_MS)).toBe(false);
  });
});

describe('lookIntervalMs', () => {
  it('looks twice in the time that is waited for, and never less often than it may', () => {
    expect(lookIntervalMs(1_000, 60_000)).toBe(500);
    expect(lookIntervalMs(RETIRE_AFTER_MS, 60_000)).toBe(60_000);
  });
});
