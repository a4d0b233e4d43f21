import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MIN_UPLOAD_BYTES_PER_SECOND, PACE_WINDOW_MS } from '../../../../protocols/limits.ts';
import { UploadSlots } from '../../../../protocols/transfer/index.ts';
import { slotHolder, type TestHolder } from '../../../support/slot-holder.ts';

/** Asks for a slot, each peer on one stream; `got` tells in which order they were given. */
function createQueue(slots: UploadSlots) {
  const got: string[] = [];
  const holders = new Map<string, TestHolder>();
  const holder = (peer: string): TestHolder => {
    const known = holders.get(peer) ?? slotHolder(peer, MIN_UPLOAD_BYTES_PER_SECOND);
    holders.set(peer, known);
    return known;
  };
  return {
    got,
    holder,
    ask: (peer: string) => void slots.acquire(holder(peer)).then(() => got.push(peer)),
    release: (peer: string) => slots.release(holder(peer)),
  };
}

const settled = (): Promise<void> => new Promise(setImmediate);

describe('UploadSlots', () => {
  it('gives as many as there are, and the next when one comes back', async () => {
    const { got, ask, release } = createQueue(new UploadSlots(2));
    for (const peer of ['a', 'b', 'c']) ask(peer);
    await settled();
    expect(got).toEqual(['a', 'b']);
    release('a');
    await settled();
    expect(got).toEqual(['a', 'b', 'c']);
  });

  it('gives one peer no more than its share, however many it asks for', async () => {
    const { got, ask, release } = createQueue(new UploadSlots(4, 2));
    for (const peer of ['greedy', 'greedy', 'greedy', 'b']) ask(peer);
    await settled();
    expect(got).toEqual(['greedy', 'greedy', 'b']);
    release('greedy');
    await settled();
    expect(got).toEqual(['greedy', 'greedy', 'b', 'greedy']);
  });

  it('lets peers take turns, whoever has more waiting', async () => {
    const { got, ask, release } = createQueue(new UploadSlots(1));
    for (const peer of ['a', 'a', 'a', 'a', 'b', 'b', 'c']) ask(peer);
    for (const peer of ['a', 'a', 'b', 'c', 'a', 'b']) {
      await settled();
      release(peer);
    }
    await settled();
    expect(got).toEqual(['a', 'a', 'b', 'c', 'a', 'b', 'a']);
  });
});

describe('UploadSlots, while all are held,', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('tells a holder that is too slow for those who wait, just under the least rate and not at it', () => {
    const slots = new UploadSlots(2);
    const { ask, holder } = createQueue(slots);
    for (const peer of ['under', 'at', 'waits']) ask(peer);
    const least = (MIN_UPLOAD_BYTES_PER_SECOND * PACE_WINDOW_MS) / 1000;
    holder('under').moved = least - 5;
    holder('at').moved = least;
    vi.advanceTimersByTime(PACE_WINDOW_MS);
    expect(holder('under').told).toEqual([MIN_UPLOAD_BYTES_PER_SECOND - 1]);
    expect(holder('at').told).toEqual([]);
  });

  it('tells nobody anything while nobody else waits, or only such as have their share', () => {
    const { ask, holder } = createQueue(new UploadSlots(2, 2));
    for (let slot = 0; slot < 4; slot += 1) ask('alone');
    vi.advanceTimersByTime(10 * PACE_WINDOW_MS);
    expect(holder('alone').told).toEqual([]);
  });

  it('counts from when a holder got its slot', async () => {
    const { got, ask, holder, release } = createQueue(new UploadSlots(1));
    for (const peer of ['first', 'second', 'third']) ask(peer);
    vi.advanceTimersByTime(PACE_WINDOW_MS - 1);
    release('first');
    await vi.advanceTimersByTimeAsync(PACE_WINDOW_MS - 1_000);
    expect(got).toEqual(['first', 'second']);
    expect(holder('second').told).toEqual([]);
    vi.advanceTimersByTime(2_000);
    expect(holder('second').told).toEqual([0]);
  });
});
