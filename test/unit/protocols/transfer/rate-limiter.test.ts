import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MIN_RATE_BYTES, RateLimiter } from '../../../../protocols/transfer/index.ts';

describe('RateLimiter', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const queue = (limiter: RateLimiter) => {
    const got: string[] = [];
    const ask = (peer: string, bytes: number, begun = false): void => {
      void limiter.take(peer, bytes, begun).then(() => got.push(peer));
    };
    return { got, ask };
  };

  it('holds all who ask to one rate together', async () => {
    const { got, ask } = queue(new RateLimiter(100_000));
    for (const peer of ['a', 'b', 'c']) ask(peer, 100_000);
    await vi.advanceTimersByTimeAsync(0);
    expect(got).toEqual(['a']);
    await vi.advanceTimersByTimeAsync(740);
    expect(got).toEqual(['a']);
    await vi.advanceTimersByTimeAsync(20);
    expect(got).toEqual(['a', 'b']);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(got).toEqual(['a', 'b', 'c']);
  });

  it('lets peers take turns, and ends what was begun first', async () => {
    const { got, ask } = queue(new RateLimiter(100_000));
    ask('greedy', 100_000);
    for (const peer of ['greedy', 'greedy', 'b', 'c']) ask(peer, 100_000);
    ask('c', 100_000, true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(got).toEqual(['greedy', 'c', 'greedy', 'b', 'c', 'greedy']);
  });

  it('lets the next go sooner when something was not used', async () => {
    const limiter = new RateLimiter(100_000);
    const { got, ask } = queue(limiter);
    ask('a', 1_000_000);
    ask('b', 1);
    await vi.advanceTimersByTimeAsync(0);
    limiter.refund(1_000_000);
    await vi.advanceTimersByTimeAsync(0);
    expect(got).toEqual(['a', 'b']);
  });

  it('cuts pieces so that many who wait each hear something soon', () => {
    expect(new RateLimiter(MIN_RATE_BYTES).pieceBytes).toBe(4_096);
    expect(new RateLimiter(1024 ** 3).pieceBytes).toBe(256 * 1024);
  });
});
