import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../../../protocols/types.ts';
import {
  type Candidate,
  coolingMs,
  estimateCompletionMs,
  selectNode,
} from '../../../../src/policy/routing.ts';

function candidate(node: string, over: Partial<Omit<Candidate, 'node'>> = {}): Candidate {
  return {
    node: node as NodeId,
    load: { inFlight: 0, queued: 0, slots: 1, serviceMs: 10 },
    sentSinceReport: 0,
    roundTripMs: 1,
    bytesPerMs: null,
    coolingUntilMs: 0,
    ...over,
  };
}

const request = { bodyBytes: 0, tried: new Set<NodeId>() };
const first = (): number => 0.999;

describe('estimateCompletionMs', () => {
  it('adds round trip, transfer, queue and service', () => {
    const busy = candidate('a', {
      load: { inFlight: 1, queued: 3, slots: 2, serviceMs: 10 },
      sentSinceReport: 1,
      bytesPerMs: 1000,
    });
    // 1 ms round trip, 5 ms for 5 000 bytes, 5 waiting over 2 slots, and its own 10 ms.
    expect(estimateCompletionMs(busy, 5_000, { serviceMs: 99, roundTripMs: 99 })).toBe(
      1 + 5 + 2.5 * 10 + 10,
    );
  });
});

describe('selectNode', () => {
  it('takes the fast node though it is busier, while it is still sooner done', () => {
    const fast = candidate('fast', { load: { inFlight: 1, queued: 2, slots: 1, serviceMs: 2 } });
    const slow = candidate('slow', { load: { inFlight: 0, queued: 0, slots: 1, serviceMs: 60 } });
    expect(selectNode([slow, fast], request, 0, first)?.node).toBe('fast');
  });

  it('counts its own requests that the last report does not know', () => {
    const a = candidate('a', { sentSinceReport: 3 });
    expect(selectNode([a, candidate('b')], request, 0, first)?.node).toBe('b');
  });

  it('gives a node without measurements its first request', () => {
    const fresh = candidate('fresh', {
      load: { inFlight: 0, queued: 0, slots: 1, serviceMs: null },
    });
    const known = candidate('known', { load: { inFlight: 1, queued: 0, slots: 1, serviceMs: 10 } });
    expect(selectNode([known, fresh], request, 0, first)?.node).toBe('fresh');
  });

  it('takes a node whose round trip is not known lately for as near as the nearest', () => {
    const near = candidate('near', { sentSinceReport: 1 });
    const unmeasured = candidate('unmeasured', { roundTripMs: null });
    const far = candidate('far', { roundTripMs: 80 });
    expect(selectNode([near, far, unmeasured], request, 0, first)?.node).toBe('unmeasured');
  });

  it('leaves out nodes that were tried and nodes that cool', () => {
    const cooling = candidate('cooling', { coolingUntilMs: 100 });
    const candidates = [cooling, candidate('tried'), candidate('left', { roundTripMs: 500 })];
    const tried = new Set(['tried' as NodeId]);
    expect(selectNode(candidates, { bodyBytes: 0, tried }, 50, first)?.node).toBe('left');
  });

  it('tries the least bad one when all are cooling', () => {
    const a = candidate('a', { coolingUntilMs: 200 });
    const b = candidate('b', { coolingUntilMs: 100 });
    expect(selectNode([a, b], request, 50, first)?.node).toBe('b');
  });

  it('has no answer when every node was tried', () => {
    const tried = new Set(['a' as NodeId]);
    expect(selectNode([candidate('a')], { bodyBytes: 0, tried }, 0, first)).toBeUndefined();
  });

  it('takes estimates for equal that differ by a millisecond or a tenth', () => {
    const takesFar = (nearMs: number, farMs: number, serviceMs: number): boolean => {
      const load = { inFlight: 0, queued: 0, slots: 1, serviceMs };
      const near = candidate('near', { roundTripMs: nearMs, load });
      const far = candidate('far', { roundTripMs: farMs, load });
      return selectNode([near, far], request, 0, first)?.node === 'far';
    };
    expect(takesFar(0.2, 1.2, 0.1)).toBe(true);
    expect(takesFar(0.2, 1.3, 0.1)).toBe(false);
    expect(takesFar(50, 60, 50)).toBe(true);
    expect(takesFar(50, 61, 50)).toBe(false);
  });

  it('counts what a node has before it though it could take more at once', () => {
    const load = { inFlight: 4, queued: 0, slots: 8, serviceMs: 10 };
    expect(selectNode([candidate('a', { load }), candidate('b')], request, 0, first)?.node).toBe(
      'b',
    );
  });

  it('spreads over equals', () => {
    const equals = ['a', 'b', 'c', 'd'].map((node) => candidate(node));
    const counts = new Map<string, number>();
    let seed = 1;
    const random = (): number => {
      seed = (seed * 16_807) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    for (let i = 0; i < 4_000; i += 1) {
      const node = selectNode(equals, request, 0, random)?.node ?? '';
      counts.set(node, (counts.get(node) ?? 0) + 1);
    }
    for (const [node, count] of counts) expect(count, node).toBeGreaterThan(850);
    expect(counts.size).toBe(4);
  });

  it('decides the same for the same arguments and never picks a tried node', () => {
    const load = fc.record({
      inFlight: fc.nat(20),
      queued: fc.nat(20),
      slots: fc.integer({ min: 1, max: 8 }),
      serviceMs: fc.option(fc.double({ min: 0.01, max: 1e4, noNaN: true })),
    });
    const candidates = fc.uniqueArray(
      fc.record({
        node: fc.string({ minLength: 1, maxLength: 3 }),
        load,
        sentSinceReport: fc.nat(9),
        coolingUntilMs: fc.nat(100),
      }),
      { selector: ({ node }) => node, maxLength: 8 },
    );
    fc.assert(
      fc.property(
        candidates,
        fc.nat(100),
        fc.subarray(['a', 'b', 'c']),
        (rows, now, triedNodes) => {
          const list = rows.map(({ node, ...over }) => candidate(node, over));
          const tried = new Set(triedNodes as NodeId[]);
          const once = selectNode(list, { bodyBytes: 10, tried }, now, () => 0.5);
          expect(selectNode(list, { bodyBytes: 10, tried }, now, () => 0.5)).toBe(once);
          if (once !== undefined) expect(tried.has(once.node)).toBe(false);
          else expect(list.every(({ node }) => tried.has(node))).toBe(true);
        },
      ),
    );
  });
});

describe('coolingMs', () => {
  it('doubles from 15 s to 5 min', () => {
    expect([1, 2, 3, 5, 6, 60].map(coolingMs)).toEqual([
      15_000, 30_000, 60_000, 240_000, 300_000, 300_000,
    ]);
  });
});
