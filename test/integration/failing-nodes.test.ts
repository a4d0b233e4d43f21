import type { Stream } from '@libp2p/interface';
import { describe, expect, it } from 'vitest';
import { BusyError, ForbiddenError, LoadingError } from '../../protocols/errors.ts';
import { FRAME } from '../../protocols/inference/frame-type.ts';
import type { InferenceHandler } from '../../protocols/inference/index.ts';
import { encodeResponse } from '../../protocols/inference/message.ts';
import type { NodeId } from '../../protocols/types.ts';
import { CallClock } from '../../src/client/call-clock.ts';
import { resolveInferOptions } from '../../src/client/infer-options.ts';
import { RawPeer } from '../support/raw-peer.ts';
import { echoHandler, INPUTS, inferAt, refusingHandler } from '../support/stand-in-calls.ts';
import { IDLE } from '../support/announced-peer.ts';
import { REF, type Serve, StandInNodes } from '../support/stand-in-nodes.ts';

/** Waits for a request, then does with the stream what is said; pings are answered until then. */
function onRequest(act: (peer: RawPeer, stream: Stream, id: number) => void): Serve {
  return (stream) => {
    const peer = new RawPeer(stream);
    peer.heard(FRAME.request).then(
      ({ id }) => act(peer, stream, id),
      () => {
        // A stream on which nothing is asked is left alone.
      },
    );
  };
}

const FAILURES: readonly (readonly [string, Serve])[] = [
  ['resets the stream', onRequest((_, stream) => stream.abort(new Error('reset')))],
  ['ends the stream', onRequest((_, stream) => void stream.close())],
  [
    'dies in the middle of its answer',
    onRequest((peer, stream, id) => {
      const outputs = [{ name: 'x', datatype: 'FP32' as const, shape: [1_000], byteLength: 4_000 }];
      const header = encodeResponse({
        load: IDLE,
        queueMs: 0,
        executeMs: 0,
        releaseSequence: 0,
        outputs,
      });
      peer.frame(FRAME.response, id, header);
      peer.frame(FRAME.data, id, new Uint8Array(100));
      setTimeout(() => stream.abort(new Error('died')), 20);
    }),
  ],
  ['answers with garbage', onRequest((peer) => peer.send(new Uint8Array(4096).fill(0xff)))],
  [
    'answers with a frame of nonsense',
    onRequest((peer, _, id) => peer.frame(FRAME.response, id, Uint8Array.of(1, 2, 3))),
  ],
  ['says nothing, not even that it is alive', onRequest(() => {})],
];

describe.each(FAILURES)('A node that %s', (_, serve) => {
  it('costs its caller nothing while another answers', async () => {
    await using nodes = await StandInNodes.create();
    const bad = await nodes.add(serve, { ...IDLE, serviceMs: 0.1 });
    const good = await nodes.add(echoHandler(), { ...IDLE, serviceMs: 500 });
    const result = await inferAt(nodes);
    expect(result.node).toBe(good.id);
    expect(result.outputs['x']?.toArray()).toEqual([1, 2]);
    // A silent one is given up for another before it is known to be dead.
    expect(result.failedAttempts.every(({ node }) => node === bad.id)).toBe(true);
    // Now it is known: nobody asks it again.
    expect((await inferAt(nodes)).node).toBe(good.id);
  });

  it('gives its caller one typed error by the deadline when there is no other', async () => {
    await using nodes = await StandInNodes.create();
    await nodes.add(serve);
    const error = await inferAt(nodes, { deadlineMs: 1_500 }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: expect.stringMatching(/^ERR_(CONNECTION|INVALID_MESSAGE|DEADLINE)$/),
    });
  });
});

describe('A call', () => {
  it('goes to a second node when the first takes longer than 95 of 100 did, and takes the first back', async () => {
    await using nodes = await StandInNodes.create();
    let slow = 0;
    const sometimes = echoHandler();
    const stuck = echoHandler(60_000);
    const first: InferenceHandler = {
      admit: (...args) => (slow > 0 ? stuck : sometimes).admit(...args),
      load: () => IDLE,
    };
    const one = await nodes.add(first, { ...IDLE, serviceMs: 0.1 });
    for (let warm = 0; warm < 40; warm += 1) expect((await inferAt(nodes)).node).toBe(one.id);
    const two = await nodes.add(echoHandler());
    slow = 1;
    const result = await inferAt(nodes, {
      avoid: { nodes: new Set(), owners: new Set() },
      prefer: { nodes: [one.id] },
    });
    expect(result.node).toBe(two.id);
    expect(result.failedAttempts).toEqual([]);
    await expect.poll(() => stuck.asked.cancelled).toBe(1);
  });

  it('hears of all that are busy the one that has room first', async () => {
    await using nodes = await StandInNodes.create();
    await nodes.add(refusingHandler(() => new BusyError('full', 9_000)));
    await nodes.add(refusingHandler(() => new BusyError('full', 4_000)));
    await expect(inferAt(nodes, { deadlineMs: 2_000 })).rejects.toMatchObject({
      code: 'ERR_BUSY',
      retryAfterMs: 4_000,
    });
  });

  it('comes back when a busy node said it would have room', async () => {
    await using nodes = await StandInNodes.create();
    let refusals = 2;
    const served = echoHandler();
    const { id } = await nodes.add({
      admit: (...args) => {
        if (refusals === 0) return served.admit(...args);
        refusals -= 1;
        throw new BusyError('full', 60);
      },
      load: () => IDLE,
    });
    const result = await inferAt(nodes);
    expect(result.node).toBe(id);
    expect(result.failedAttempts.map(({ code }) => code)).toEqual(['ERR_BUSY', 'ERR_BUSY']);
  });

  it('asks a node that refused its caller once, and again only where no other is left', async () => {
    await using nodes = await StandInNodes.create();
    const closed = refusingHandler(() => new ForbiddenError('not you'));
    await nodes.add(closed, { ...IDLE, serviceMs: 0.1 });
    const open = await nodes.add(echoHandler(), { ...IDLE, serviceMs: 500 });
    const first = await inferAt(nodes);
    expect(first.failedAttempts.map(({ code }) => code)).toEqual(['ERR_FORBIDDEN']);
    for (let calls = 0; calls < 4; calls += 1) {
      const { node, failedAttempts } = await inferAt(nodes);
      expect({ node, failedAttempts }).toEqual({ node: open.id, failedAttempts: [] });
    }
    expect(closed.asked.count).toBe(1);
    const avoid = { nodes: new Set([open.id]), owners: new Set<never>() };
    await expect(inferAt(nodes, { avoid })).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' });
    expect(closed.asked.count).toBe(2);
  });

  it('waits for a load that ends within its deadline, and hears at once of one that does not', async () => {
    await using nodes = await StandInNodes.create();
    let loading = true;
    const served = echoHandler();
    await nodes.add({
      admit: (...args) => {
        if (!loading) return served.admit(...args);
        loading = false;
        throw new LoadingError('loading', 100);
      },
      load: () => IDLE,
    });
    expect((await inferAt(nodes)).failedAttempts).toMatchObject([{ code: 'ERR_LOADING' }]);

    await using others = await StandInNodes.create();
    await others.add(refusingHandler(() => new LoadingError('loading', 60_000)));
    await expect(inferAt(others, { deadlineMs: 9_000 })).rejects.toMatchObject({
      code: 'ERR_LOADING',
      etaMs: 60_000,
    });
  });

  it('is told how long a version is still loaded that is READY nowhere', async () => {
    await using nodes = await StandInNodes.create();
    await nodes.add(echoHandler(), IDLE, 'loading');
    await expect(inferAt(nodes, { deadlineMs: 1_000 })).rejects.toMatchObject({
      code: 'ERR_LOADING',
      details: { etaMs: 60_000, loading: 1 },
    });
  });

  it('is kept off nodes and owners that it must avoid, also when no others are left', async () => {
    await using nodes = await StandInNodes.create();
    const [a, b] = [await nodes.add(echoHandler()), await nodes.add(echoHandler())];
    const avoid = { nodes: new Set<NodeId>(), owners: new Set([a.owner]) };
    for (let calls = 0; calls < 4; calls += 1) {
      expect((await inferAt(nodes, { avoid })).node).toBe(b.id);
    }
    const all = { nodes: new Set([b.id]), owners: new Set([a.owner]) };
    await expect(inferAt(nodes, { avoid: all, deadlineMs: 500 })).rejects.toMatchObject({
      code: 'ERR_NO_NODE',
    });
  });

  it('uses two equal nodes evenly', async () => {
    await using nodes = await StandInNodes.create();
    // Long beside any round trip of a busy machine: what is measured of the two ways must not make them unequal.
    const load = { ...IDLE, serviceMs: 200 };
    const [a, b] = [echoHandler(0, load), echoHandler(0, load)];
    await nodes.add(a, load);
    await nodes.add(b, load);
    for (let calls = 0; calls < 60; calls += 1) await inferAt(nodes);
    expect(Math.abs(a.asked.count - b.asked.count)).toBeLessThan(12);
  });

  it('keeps to the node of its affinity', async () => {
    await using nodes = await StandInNodes.create();
    for (let added = 0; added < 3; added += 1) await nodes.add(echoHandler());
    const seen = new Set<NodeId>();
    for (let calls = 0; calls < 10; calls += 1) {
      seen.add((await inferAt(nodes, { affinity: 'session 1' })).node);
    }
    expect(seen.size).toBe(1);
  });

  it("goes where the application's own selector says, and nowhere that it may not", async () => {
    const asked: number[] = [];
    await using nodes = await StandInNodes.create({
      selector: (candidates) => {
        asked.push(candidates.length);
        return candidates.map(({ node }) => node).toSorted()[0];
      },
    });
    const ids = [await nodes.add(echoHandler()), await nodes.add(echoHandler())]
      .map(({ id }) => id)
      .toSorted();
    expect((await inferAt(nodes)).node).toBe(ids[0]);
    const avoid = { nodes: new Set(ids.slice(0, 1)), owners: new Set<never>() };
    expect((await inferAt(nodes, { avoid })).node).toBe(ids[1]);
    expect(asked).toEqual([2, 1]);

    await using foreign = await StandInNodes.create({ selector: () => 'somebody' as NodeId });
    await foreign.add(echoHandler());
    await expect(inferAt(foreign)).rejects.toMatchObject({ code: 'ERR_CONFIG' });
  });

  it('counts for those that begin in the same moment: equal nodes get as many', async () => {
    await using nodes = await StandInNodes.create();
    // Long enough that one request more is no tie.
    const load = { ...IDLE, serviceMs: 200 };
    const handlers = [echoHandler(50, load), echoHandler(50, load)];
    for (const handler of handlers) await nodes.add(handler, load);
    await nodes.connect();
    for (const begun of [1, 2, 3]) {
      await Promise.all(Array.from({ length: 16 }, async () => inferAt(nodes)));
      expect(handlers.map(({ asked }) => asked.count)).toEqual([8 * begun, 8 * begun]);
    }
  });

  it('is explained without being sent', async () => {
    await using nodes = await StandInNodes.create();
    const [fast, slow] = [echoHandler(), echoHandler(0, { ...IDLE, serviceMs: 400 })];
    const near = await nodes.add(fast);
    await nodes.add(slow);
    const options = resolveInferOptions({}, { deadlineMs: 10_000 });
    const { version, candidates } = await nodes.router.explain(
      REF,
      INPUTS,
      options,
      new CallClock(options.deadlineMs, undefined),
    );
    expect(version).toBe(REF.selector.kind === 'version' && REF.selector.cid);
    expect(candidates.map(({ node, verdict }) => ({ node, verdict }))[0]).toEqual({
      node: near.id,
      verdict: 'chosen',
    });
    expect(candidates[0]?.pathMs).toBeGreaterThan(0);
    expect([fast.asked.count, slow.asked.count]).toEqual([0, 0]);
  });
});
