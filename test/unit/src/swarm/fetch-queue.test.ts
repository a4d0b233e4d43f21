import { describe, expect, it } from 'vitest';
import { type Holdings, setBit, WHOLE } from '../../../../protocols/transfer/index.ts';
import { type BlockTask, FetchQueue, type TakenTask } from '../../../../src/swarm/fetch-queue.ts';
import { present } from '../../../support/present.ts';

function createTask(id: number): BlockTask {
  return { digest: Uint8Array.of(id), maxBytes: 10, chunk: id, accept: async () => undefined };
}

/** A part of a version of eight chunks. */
function part(has: readonly number[], coming: readonly number[] = []): Holdings {
  const holdings = { whole: false, count: 8, has: new Uint8Array(1), coming: new Uint8Array(1) };
  for (const chunk of has) setBit(holdings.has, chunk);
  for (const chunk of coming) setBit(holdings.coming, chunk);
  return holdings;
}

const chunkOf = (taken: TakenTask | undefined): number | undefined => taken?.task.chunk;

function createQueue(count: number): { queue: FetchQueue; tasks: BlockTask[] } {
  const tasks = Array.from({ length: count }, (_, id) => createTask(id));
  const queue = new FetchQueue(() => 0);
  queue.add(tasks);
  return { queue, tasks };
}

describe('FetchQueue', () => {
  it('gives each task to one peer', () => {
    const { queue, tasks } = createQueue(3);
    const taken = ['a', 'b', 'a'].map((peer) => queue.take(peer, 0)?.task);
    expect(new Set(taken)).toEqual(new Set(tasks));
    expect(queue.take('b', 0)).toBeUndefined();
    expect([queue.size, queue.inFlight]).toEqual([3, 3]);
  });

  it('is empty when every task is complete', () => {
    const { queue } = createQueue(2);
    for (const peer of ['a', 'b']) expect(queue.complete(present(queue.take(peer, 0)))).toBe(true);
    expect([queue.size, queue.inFlight]).toEqual([0, 0]);
  });

  it('lets an idle peer help with what another was asked for a second ago, and no sooner', () => {
    const { queue, tasks } = createQueue(1);
    queue.take('slow', 0);
    expect(queue.take('fast', 999)).toBeUndefined();
    expect(queue.take('fast', 1_000)?.task).toBe(tasks[0]);
  });

  it('asks no peer twice for the same block, and no third one', () => {
    const { queue } = createQueue(1);
    queue.take('a', 0);
    expect(queue.take('a', 5_000)).toBeUndefined();
    queue.take('b', 5_000);
    expect(queue.take('c', 60_000)).toBeUndefined();
  });

  it('takes the first of two answers and aborts the other', () => {
    const { queue } = createQueue(1);
    const slow = present(queue.take('slow', 0));
    const fast = present(queue.take('fast', 1_000));
    expect(queue.complete(fast)).toBe(true);
    expect(slow.signal.aborted).toBe(true);
    expect(queue.complete(slow)).toBe(false);
    expect(queue.size).toBe(0);
  });

  it('gives a task that failed to another peer', () => {
    const { queue, tasks } = createQueue(1);
    queue.giveBack(present(queue.take('a', 0)), 'a', false);
    expect([queue.size, queue.inFlight]).toEqual([1, 0]);
    expect(queue.take('b', 0)?.task).toBe(tasks[0]);
  });

  it('keeps a task in flight that one of two peers gave back', () => {
    const { queue } = createQueue(1);
    const first = present(queue.take('a', 0));
    queue.take('b', 1_000);
    queue.giveBack(first, 'a', false);
    expect(queue.inFlight).toBe(1);
  });

  it('does not ask a peer again for what it lacks, until all is forgotten', () => {
    const { queue, tasks } = createQueue(2);
    queue.giveBack(present(queue.take('a', 0)), 'a', true);
    expect(queue.take('a', 0)?.task).toBe(tasks[1]);
    expect(queue.take('a', 0)).toBeUndefined();
    queue.forgetMissing();
    expect(queue.take('a', 0)?.task).toBe(tasks[0]);
  });

  it('passes over what is given back after it was completed', () => {
    const { queue } = createQueue(1);
    const slow = present(queue.take('slow', 0));
    queue.complete(present(queue.take('fast', 1_000)));
    queue.giveBack(slow, 'slow', false);
    expect(queue.size).toBe(0);
  });
});

describe('FetchQueue with what peers have', () => {
  it('asks a peer for what it has and for nothing else', () => {
    const { queue } = createQueue(4);
    queue.setHoldings('a', part([2], [0, 1, 3]));
    expect(chunkOf(queue.take('a', 0))).toBe(2);
    expect(queue.take('a', 0)).toBeUndefined();
    queue.setHoldings('a', part([2, 3]));
    expect(chunkOf(queue.take('a', 0))).toBe(3);
  });

  it('takes the rarest first, one on its way counting as a copy', () => {
    const { queue } = createQueue(4);
    queue.setHoldings('seeder', WHOLE);
    queue.setHoldings('b', part([0, 1]));
    queue.setHoldings('c', part([0], [2]));
    expect(chunkOf(queue.take('seeder', 0))).toBe(3);
    const next = new Set([queue.take('seeder', 0), queue.take('seeder', 0)].map(chunkOf));
    expect(next).toEqual(new Set([1, 2]));
    expect(chunkOf(queue.take('seeder', 0))).toBe(0);
  });

  it('does not count the copies of a peer that is gone', () => {
    const { queue } = createQueue(2);
    queue.setHoldings('b', part([0]));
    queue.setHoldings('c', part([1]));
    queue.forgetPeer('c');
    expect(chunkOf(queue.take('seeder', 0))).toBe(1);
  });

  it('begins among equals where chance says, so that many who begin at once take different ones', () => {
    const first = (random: number): number | undefined => {
      const queue = new FetchQueue(() => random);
      queue.add(Array.from({ length: 8 }, (_, id) => createTask(id)));
      return chunkOf(queue.take('seeder', 0));
    };
    expect([0, 0.25, 0.5, 0.99].map(first)).toEqual([0, 2, 4, 7]);
  });

  it('does not ask again for what a peer said it has and had not, until it says so again', () => {
    const { queue } = createQueue(1);
    queue.setHoldings('a', part([0]));
    queue.giveBack(present(queue.take('a', 0)), 'a', true);
    expect(queue.take('a', 0)).toBeUndefined();
    queue.setHoldings('a', part([0]));
    expect(chunkOf(queue.take('a', 0))).toBe(0);
  });

  it('asks for blocks that are no chunks wherever they may be', () => {
    const queue = new FetchQueue(() => 0);
    const list: BlockTask = { ...createTask(0), chunk: undefined };
    queue.add([list]);
    queue.setHoldings('a', part([]));
    expect(queue.take('a', 0)?.task).toBe(list);
  });

  it('tells a task when it is asked for and when nobody is any more', () => {
    const told: boolean[] = [];
    const queue = new FetchQueue(() => 0);
    queue.add([{ ...createTask(0), onAsked: (asked) => told.push(asked) }]);
    const slow = present(queue.take('a', 0));
    const fast = present(queue.take('b', 1_000));
    queue.giveBack(slow, 'a', false);
    expect(told).toEqual([true]);
    queue.giveBack(fast, 'b', false);
    expect(told).toEqual([true, false]);
  });
});
