import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Pace, type PacedHolder, PaceWatch } from '../../../protocols/pace.ts';

describe('Pace', () => {
  const started = (): Pace => {
    const pace = new Pace({ minBytesPerSecond: 1_000, windowMs: 2_000 });
    pace.wait(0);
    return pace;
  };

  it('judges nothing before a window is over, then every window by itself', () => {
    const pace = started();
    expect(pace.judge(0, 1_999)).toBeUndefined();
    expect(pace.judge(2_000, 2_000)).toBeUndefined();
    expect(pace.judge(2_000, 3_999)).toBeUndefined();
    expect(pace.judge(3_998, 4_000)).toBe(999);
  });

  it('counts only the time in which the other side is waited for', () => {
    const pace = started();
    pace.proceed(1_000);
    expect(pace.judge(0, 60_000)).toBeUndefined();
    pace.wait(60_000);
    expect(pace.judge(0, 60_999)).toBeUndefined();
    expect(pace.judge(500, 61_000)).toBe(250);
  });

  it('holds nothing against anybody after a restart', () => {
    const pace = started();
    pace.restart(10, 1_999);
    expect(pace.judge(10, 3_998)).toBeUndefined();
    expect(pace.judge(10, 3_999)).toBe(0);
  });

  it('never calls somebody slow who keeps the rate, however it is looked at', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5_000 }), { maxLength: 50 }), (steps) => {
        const pace = started();
        let nowMs = 0;
        for (const step of steps) {
          nowMs += step;
          expect(pace.judge(nowMs, nowMs)).toBeUndefined();
        }
      }),
    );
  });
});

describe('PaceWatch', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function setUp() {
    const state = { contended: false, moved: 0, told: [] as number[] };
    const pace = new Pace({ minBytesPerSecond: 100, windowMs: 1_000 });
    pace.wait(performance.now());
    const holder: PacedHolder = {
      pace,
      movedBytes: () => state.moved,
      tooSlow: (rate) => state.told.push(rate),
    };
    const watch = new PaceWatch({
      holders: () => [holder],
      contended: () => state.contended,
      windowMs: 1_000,
    });
    return { state, watch };
  }

  it('lets a holder be as slow as it likes while nobody waits, and has no timer then', () => {
    const { state, watch } = setUp();
    watch.look();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(60_000);
    expect(state.told).toEqual([]);
  });

  it('gives a holder one whole window from when somebody began to wait', () => {
    const { state, watch } = setUp();
    vi.advanceTimersByTime(60_000);
    state.contended = true;
    watch.look();
    vi.advanceTimersByTime(999);
    expect(state.told).toEqual([]);
    state.moved = 50;
    vi.advanceTimersByTime(1);
    expect(state.told).toEqual([50]);
  });

  it('rests when nobody waits any more', () => {
    const { state, watch } = setUp();
    state.contended = true;
    watch.look();
    vi.advanceTimersByTime(900);
    state.contended = false;
    vi.advanceTimersByTime(200);
    expect(vi.getTimerCount()).toBe(0);
    expect(state.told).toEqual([]);
  });

  it('holds nothing against anybody when this process itself stood still', () => {
    const { state, watch } = setUp();
    state.contended = true;
    watch.look();
    // One late tick, as after a suspended laptop.
    const { performance: clock } = globalThis;
    const now = clock.now();
    vi.spyOn(clock, 'now').mockReturnValueOnce(now + 60_000);
    vi.advanceTimersByTime(200);
    expect(state.told).toEqual([]);
  });
});
