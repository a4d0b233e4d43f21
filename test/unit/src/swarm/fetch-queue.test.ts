import { describe, expect, it } from 'vitest';
import { type BlockTask, FetchQueue } from '../../../../src/swarm/fetch-queue.ts';
import { present } from '../../../support/present.ts';

function createTask(id: number): BlockTask {
  return { digest: Uint8Array.of(id), maxBytes: 10, accept: async () => undefined };
}

function createQueue(count: number): { queue: FetchQueue; tasks: BlockTask[] } {
  const tasks = Array.from({ length: count }, (_, id) => createTask(id));
  const queue = new FetchQueue();
  queue.add(tasks);
  return { queue, tasks };
}

describe('FetchQueue', () => {
  it('gives each task to one peer, in the order of the file', () => {
    const { queue, tasks } = createQueue(3);
    expect(queue.take('a', 0)?.task).toBe(tasks[0]);
    expect(queue.take('b', 0)?.task).toBe(tasks[1]);
    expect(queue.take('a', 0)?.task).toBe(tasks[2]);
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
