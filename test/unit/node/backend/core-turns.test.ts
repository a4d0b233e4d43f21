import { afterEach, describe, expect, test, vi } from 'vitest';
import { type CoreTurn, CoreTurns } from '../../../../node/backend/core-turns.ts';

/** Cores under a clock of the test's own, and the order in which runs got theirs. */
function createCores(total: number) {
  const clock = { nowMs: 0 };
  const turns = new CoreTurns(total, () => clock.nowMs);
  const order: string[] = [];
  const held = new Map<string, CoreTurn>();
  const take = (version: string, cores: number, name: string, signal?: AbortSignal) =>
    turns.take(version, cores, signal).then((turn) => {
      order.push(name);
      held.set(name, turn);
    });
  const end = async (name: string, tookMs: number) => {
    clock.nowMs += tookMs;
    held.get(name)?.release();
    await settled();
  };
  return { turns, order, take, end };
}

const settled = async () => new Promise((resolve) => setImmediate(resolve));

describe('CoreTurns', () => {
  afterEach(() => void vi.useRealTimers());

  test('never gives out more cores than there are, and all of them', async () => {
    const { turns, order, take, end } = createCores(4);
    for (const name of ['a1', 'a2', 'a3']) void take('a', 1, name);
    for (const name of ['b1', 'b2']) void take('b', 2, name);
    await settled();
    expect(order).toEqual(['a1', 'a2', 'a3']);
    expect(turns.busy).toBe(3);
    await end('a1', 1);
    expect(order).toEqual(['a1', 'a2', 'a3', 'b1']);
    expect(turns.busy).toBe(4);
    await end('a2', 1);
    expect(turns.busy).toBe(3);
    await end('a3', 1);
    expect(order.at(-1)).toBe('b2');
    expect(turns.busy).toBe(4);
  });

  test('takeAtOnce gives cores while as many are free and nobody waits, and nothing else', async () => {
    const { turns, take, end } = createCores(2);
    const turn = turns.takeAtOnce('a', 2);
    expect(turns.busy).toBe(2);
    expect(turns.takeAtOnce('a', 1)).toBeUndefined();
    turn?.release();
    expect(turns.busy).toBe(0);
    void take('b', 1, 'b1');
    void take('c', 2, 'c1');
    await settled();
    // One core is free, and the run that waits for two is not overtaken.
    expect(turns.takeAtOnce('d', 1)).toBeUndefined();
    await end('b1', 1);
    await end('c1', 1);
    expect(turns.takeAtOnce('d', 8)).toBeDefined();
    expect(turns.busy).toBe(2);
  });

  test('gives a version with short runs as much time as one with long ones', async () => {
    const { order, take, end } = createCores(1);
    for (const name of ['long1', 'long2']) void take('long', 1, name);
    for (let run = 1; run <= 10; run += 1) void take('short', 1, `short${run}`);
    await settled();
    await end('long1', 10);
    for (let run = 1; run <= 10; run += 1) await end(`short${run}`, 1);
    // Ten of one millisecond between two of ten.
    expect(order.indexOf('long2')).toBe(order.length - 1);
    expect(order).toHaveLength(12);
  });

  test('earns a version nothing for the time in which it wanted nothing', async () => {
    const { order, take, end } = createCores(1);
    void take('busy', 1, 'busy0');
    await settled();
    await end('busy0', 1000);
    for (const name of ['busy1', 'busy2']) void take('busy', 1, name);
    for (const name of ['late1', 'late2']) void take('late', 1, name);
    await settled();
    await end('busy1', 10);
    await end('late1', 10);
    await end('busy2', 10);
    expect(order).toEqual(['busy0', 'busy1', 'late1', 'busy2', 'late2']);
  });

  test('lets nothing overtake a run that wants all cores', async () => {
    const { order, take, end } = createCores(2);
    void take('narrow', 1, 'narrow1');
    await settled();
    void take('wide', 2, 'wide1');
    void take('narrow', 1, 'narrow2');
    await settled();
    expect(order).toEqual(['narrow1']);
    await end('narrow1', 5);
    expect(order).toEqual(['narrow1', 'wide1']);
    await end('wide1', 5);
    expect(order).toEqual(['narrow1', 'wide1', 'narrow2']);
  });

  test('shares the cores of a run that does not end with who has waited for 100 ms, and with nobody before', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const turns = new CoreTurns(1);
    const endless = await turns.take('hostile', 1);
    await vi.advanceTimersByTimeAsync(10);
    let came = 0;
    const bystander = turns.take('bystander', 1).then((turn) => {
      came += 1;
      return turn;
    });
    await vi.advanceTimersByTimeAsync(99);
    expect(came).toBe(0);
    await vi.advanceTimersByTimeAsync(2);
    expect(came).toBe(1);
    (await bystander).release();
    // From then on it stands in nobody's way, and its end gives nothing back twice.
    (await turns.take('bystander', 1)).release();
    endless.release();
    expect(turns.busy).toBe(0);
  });

  test('has a long run wait for another long one', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const turns = new CoreTurns(1);
    const known = await turns.take('b', 1);
    await vi.advanceTimersByTimeAsync(1000);
    known.release();
    const first = await turns.take('a', 1);
    let came = false;
    void turns.take('b', 1).then(() => {
      came = true;
    });
    await vi.advanceTimersByTimeAsync(3000);
    expect(came).toBe(false);
    first.release();
    await vi.advanceTimersByTimeAsync(0);
    expect(came).toBe(true);
  });

  test('gives a run that wants more than there is all there is', async () => {
    const { turns, take } = createCores(2);
    await take('wide', 16, 'wide1');
    expect(turns.busy).toBe(2);
  });

  test('frees the place of a run whose signal aborts, and who stood behind it', async () => {
    const { turns, order, take } = createCores(2);
    const gone = new AbortController();
    await take('narrow', 1, 'narrow1');
    const wide = take('wide', 2, 'wide1', gone.signal);
    void take('narrow', 1, 'narrow2');
    await settled();
    expect(turns.contended).toBe(true);
    gone.abort(new Error('its caller left'));
    await expect(wide).rejects.toThrow('its caller left');
    await settled();
    expect(order).toEqual(['narrow1', 'narrow2']);
    expect(turns.contended).toBe(false);
  });

  test('frees cores once, however often a turn is released', async () => {
    const { turns } = createCores(2);
    const turn = await turns.take('a', 1);
    turn.release();
    turn.release();
    expect(turns.busy).toBe(0);
    await turns.take('a', 1);
    expect(turns.busy).toBe(1);
  });

  test('refuses a run when thousands of its version wait, as ERR_BUSY', async () => {
    const { turns } = createCores(1);
    await turns.take('a', 1);
    const gone = new AbortController();
    const waiting = Array.from({ length: 4096 }, () => turns.take('a', 1, gone.signal));
    await expect(turns.take('a', 1)).rejects.toMatchObject({ code: 'ERR_BUSY' });
    gone.abort();
    const ends = await Promise.allSettled(waiting);
    expect(ends.every(({ status }) => status === 'rejected')).toBe(true);
  });
});
