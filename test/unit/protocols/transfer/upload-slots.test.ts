import { describe, expect, it } from 'vitest';
import { UploadSlots } from '../../../../protocols/transfer/index.ts';

/** Asks for a slot; `got` tells in which order they were given. */
function createQueue(slots: UploadSlots): { got: string[]; ask: (peer: string) => void } {
  const got: string[] = [];
  return { got, ask: (peer) => void slots.acquire(peer).then(() => got.push(peer)) };
}

const settled = (): Promise<void> => new Promise(setImmediate);

describe('UploadSlots', () => {
  it('gives as many as there are, and the next when one comes back', async () => {
    const slots = new UploadSlots(2);
    const { got, ask } = createQueue(slots);
    for (const peer of ['a', 'b', 'c']) ask(peer);
    await settled();
    expect(got).toEqual(['a', 'b']);
    slots.release('a');
    await settled();
    expect(got).toEqual(['a', 'b', 'c']);
  });

  it('gives one peer no more than its share, however many it asks for', async () => {
    const slots = new UploadSlots(4, 2);
    const { got, ask } = createQueue(slots);
    for (const peer of ['greedy', 'greedy', 'greedy', 'b']) ask(peer);
    await settled();
    expect(got).toEqual(['greedy', 'greedy', 'b']);
    slots.release('greedy');
    await settled();
    expect(got).toEqual(['greedy', 'greedy', 'b', 'greedy']);
  });

  it('lets peers take turns, whoever has more waiting', async () => {
    const slots = new UploadSlots(1);
    const { got, ask } = createQueue(slots);
    for (const peer of ['a', 'a', 'a', 'a', 'b', 'b', 'c']) ask(peer);
    for (const peer of ['a', 'a', 'b', 'c', 'a', 'b']) {
      await settled();
      slots.release(peer);
    }
    await settled();
    expect(got).toEqual(['a', 'a', 'b', 'c', 'a', 'b', 'a']);
  });
});
