import { setTimeout as delay } from 'node:timers/promises';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { describe, expect, it } from 'vitest';
import {
  BusyError,
  ExecutionError,
  InvalidInputError,
  LoadingError,
} from '../../protocols/errors.ts';
import type { InferenceHandler } from '../../protocols/inference/index.ts';
import type { CallProgress } from '../../src/index.ts';
import { HEDGE_BUDGET, RETRY_BUDGET } from '../../src/policy/call-budget.ts';
import { hostileNode } from '../support/hostile-node.ts';
import { echoHandler, inferAt, refusingHandler } from '../support/stand-in-calls.ts';
import { IDLE } from '../support/announced-peer.ts';
import { StandInNodes } from '../support/stand-in-nodes.ts';

const FAST = { ...IDLE, serviceMs: 0.1 };
const SLOW = { ...IDLE, serviceMs: 500 };

/** Nobody waits there, so that a second request is worth while. */
const WIDE = { ...IDLE, slots: 1_000 };

/** Resets its stream whenever it is asked. */
function resetting() {
  return hostileNode((peer) => peer.stream.abort(new Error('reset')));
}

/** Gives inputs back, at once until it is told to take its time. */
function pacedHandler() {
  const asked = { count: 0 };
  const pace = { ms: 0 };
  const handler: InferenceHandler = {
    admit: () => ({
      execute: async (inputs, { signal }) => {
        asked.count += 1;
        await delay(pace.ms, undefined, { signal });
        return { outputs: inputs, queueMs: 0, executeMs: 1, load: WIDE, releaseSequence: 0 };
      },
    }),
    load: () => WIDE,
  };
  return { ...handler, asked, pace };
}

describe('A call that fails', () => {
  it('goes to nobody else when its input is to blame', async () => {
    await using nodes = await StandInNodes.create();
    const handlers = [1, 2, 3].map(() => refusingHandler(() => new InvalidInputError('no')));
    for (const handler of handlers) await nodes.add(handler);
    await nodes.connect();
    await expect(inferAt(nodes)).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' });
    expect(handlers.reduce((sum, { asked }) => sum + asked.count, 0)).toBe(1);
  });

  it('goes to one more node and no third when the model fails while it runs', async () => {
    await using nodes = await StandInNodes.create();
    const handlers = [1, 2, 3].map(() => refusingHandler(() => new ExecutionError('no')));
    for (const handler of handlers) await nodes.add(handler);
    await nodes.connect();
    await expect(inferAt(nodes)).rejects.toMatchObject({ code: 'ERR_EXECUTION' });
    expect(handlers.map(({ asked }) => asked.count).toSorted((a, b) => a - b)).toEqual([0, 1, 1]);
  });

  it('goes to a node of another owner, though one of the same is faster', async () => {
    await using nodes = await StandInNodes.create();
    const ownerKey = await generateKeyPair('Ed25519');
    const bad = await nodes.add(resetting(), FAST, 'ready', { ownerKey });
    await nodes.add(echoHandler(), FAST, 'ready', { ownerKey });
    const other = await nodes.add(echoHandler(), SLOW);
    const result = await inferAt(nodes, { prefer: { nodes: [bad.id] } });
    expect(result.failedAttempts.map(({ node }) => node)).toEqual([bad.id]);
    expect(result.node).toBe(other.id);
  });

  it('goes to the fastest that is left when a node was only busy, whoever owns it', async () => {
    await using nodes = await StandInNodes.create();
    const ownerKey = await generateKeyPair('Ed25519');
    const busy = refusingHandler(() => new BusyError('full', 60_000));
    const bad = await nodes.add(busy, FAST, 'ready', { ownerKey });
    const same = await nodes.add(echoHandler(), FAST, 'ready', { ownerKey });
    await nodes.add(echoHandler(), SLOW);
    expect((await inferAt(nodes, { prefer: { nodes: [bad.id] } })).node).toBe(same.id);
  });

  it('is not tried again more often than the budget of its client has it, when all nodes fail', async () => {
    await using nodes = await StandInNodes.create();
    for (let added = 0; added < 3; added += 1) await nodes.add(resetting());
    const calls = 40;
    let sent = 0;
    const onProgress = ({ kind }: CallProgress): void => {
      if (kind === 'sent') sent += 1;
    };
    const startedAtMs = performance.now();
    const ended = await Promise.allSettled(
      Array.from({ length: calls }, () => inferAt(nodes, { deadlineMs: 3_000, onProgress })),
    );
    const seconds = (performance.now() - startedAtMs) / 1000;
    expect(ended.map(({ status }) => status)).not.toContain('fulfilled');
    const { perCall, perSecond = 0, burst } = RETRY_BUDGET;
    expect(sent).toBeLessThanOrEqual(calls * (1 + perCall) + burst + perSecond * seconds);
    // All that there was is spent: each call alone would go round the three nodes for three seconds.
    expect(sent).toBeGreaterThan(calls + burst);
  });
});

describe('A call that waits', () => {
  it('comes back when the first of the busy nodes said, and says so', async () => {
    await using nodes = await StandInNodes.create();
    const heard: CallProgress[] = [];
    let refusals = 2;
    const served = echoHandler();
    for (const afterMs of [5_000, 250]) {
      await nodes.add({
        admit: (...args) => {
          if (refusals === 0) return served.admit(...args);
          refusals -= 1;
          throw new BusyError('full', afterMs);
        },
        load: () => IDLE,
      });
    }
    await inferAt(nodes, { onProgress: (progress) => heard.push(progress) });
    const waits = heard.filter(({ kind }) => kind === 'waiting');
    expect(waits).toMatchObject([{ waitMs: 250, code: 'ERR_BUSY' }]);
    const sent = heard.filter(({ kind }) => kind === 'sent').map(({ elapsedMs }) => elapsedMs);
    // Timers may fire a millisecond early.
    expect((sent[2] ?? 0) - (sent[1] ?? 0)).toBeGreaterThanOrEqual(249);
  });

  it('tells how long a cold version is still loaded, and is answered once it is', async () => {
    await using nodes = await StandInNodes.create();
    const heard: CallProgress[] = [];
    let loading = true;
    const served = echoHandler();
    const { id } = await nodes.add({
      admit: (...args) => {
        if (!loading) return served.admit(...args);
        loading = false;
        throw new LoadingError('loading', 200);
      },
      load: () => IDLE,
    });
    const result = await inferAt(nodes, { onProgress: (progress) => heard.push(progress) });
    expect(result.node).toBe(id);
    expect(heard.filter(({ kind }) => kind === 'waiting')).toMatchObject([
      { waitMs: 200, code: 'ERR_LOADING', etaMs: 200 },
    ]);
  });
});

describe('Hedging', () => {
  it('asks a third node when the second fails while the first is silent', async () => {
    await using nodes = await StandInNodes.create();
    const silent = await nodes.add(() => {}, FAST);
    const bad = await nodes.add(resetting(), FAST);
    const good = await nodes.add(echoHandler(), SLOW);
    await nodes.connect();
    const result = await inferAt(nodes, { prefer: { nodes: [silent.id] } });
    expect(result.node).toBe(good.id);
    // The first one is not known to be dead yet, and is not waited for.
    expect(result.failedAttempts.map(({ node }) => node)).toEqual([bad.id]);
  });

  it('asks no more second nodes than its bucket has, when all are slow', async () => {
    await using nodes = await StandInNodes.create();
    const handlers = [pacedHandler(), pacedHandler()];
    for (const handler of handlers) await nodes.add(handler, WIDE);
    const asked = (): number => handlers.reduce((sum, one) => sum + one.asked.count, 0);
    const warm = 40;
    for (let calls = 0; calls < warm; calls += 1) await inferAt(nodes);
    const before = asked();
    for (const { pace } of handlers) pace.ms = 400;
    const calls = 60;
    await Promise.all(Array.from({ length: calls }, () => inferAt(nodes)));
    const hedges = asked() - before - calls;
    const { perCall, burst } = HEDGE_BUDGET;
    expect(hedges).toBeGreaterThan(0);
    expect(hedges).toBeLessThanOrEqual(burst + perCall * (warm + calls));
  });
});
