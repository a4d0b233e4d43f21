import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NodeId, OwnerId } from '../../../../protocols/types.ts';
import { judgeCandidates, selectable, selectNode } from '../../../../src/policy/node-choice.ts';
import type { Candidate, RoutingRequest } from '../../../../src/policy/routing.ts';
import { seededRandom } from '../../../../src/sim/random.ts';
import { candidateOf, loadOf, routingOf } from '../../../support/candidates.ts';

const NOW_MS = 1_000_000;

function choose(
  candidates: readonly Candidate[],
  request: Partial<RoutingRequest> = {},
  random = seededRandom(1),
): string | undefined {
  return selectNode(candidates, routingOf(request), { nowMs: NOW_MS, random })?.node;
}

function verdicts(candidates: readonly Candidate[], request: Partial<RoutingRequest> = {}) {
  const context = { nowMs: NOW_MS, random: seededRandom(1) };
  const judged = judgeCandidates(candidates, routingOf(request), context);
  return Object.fromEntries(judged.map(({ candidate, verdict }) => [candidate.node, verdict]));
}

/** How often each is chosen by a client that remembers when it asked whom. */
function shares(candidates: readonly Candidate[], requests: number): number[] {
  const lastSentAtMs = new Map<string, number>();
  const counts = new Map<string, number>(candidates.map(({ node }) => [node, 0]));
  const random = seededRandom(1);
  for (let sent = 0; sent < requests; sent += 1) {
    const seen = candidates.map((candidate) => ({
      ...candidate,
      lastSentAtMs: lastSentAtMs.get(candidate.node) ?? candidate.lastSentAtMs,
    }));
    const node = choose(seen, {}, random) ?? '';
    lastSentAtMs.set(node, NOW_MS + sent);
    counts.set(node, (counts.get(node) ?? 0) + 1);
  }
  return [...counts.values()];
}

describe('selectNode', () => {
  it('takes the fast node though it is busier, while it is still sooner done', () => {
    const fast = candidateOf('fast', { load: loadOf(2), waiting: 3 });
    expect(choose([candidateOf('slow', { load: loadOf(60) }), fast])).toBe('fast');
  });

  it('counts its own requests that are open', () => {
    expect(choose([candidateOf('a', { waiting: 3 }), candidateOf('b')])).toBe('b');
  });

  it('gives a node without measurements its first request', () => {
    const fresh = candidateOf('fresh', { load: loadOf(null) });
    expect(choose([candidateOf('known', { waiting: 1 }), fresh])).toBe('fresh');
  });

  it('takes a node whose round trip is not known lately for as near as the nearest', () => {
    const near = candidateOf('near', { waiting: 1 });
    const unmeasured = candidateOf('unmeasured', { roundTripMs: null });
    expect(choose([near, candidateOf('far', { roundTripMs: 80 }), unmeasured])).toBe('unmeasured');
  });

  it('asks none that by news of its load would refuse a request, once a node has counted it', () => {
    const busy = candidateOf('busy', { load: loadOf(100), waiting: 10 });
    const counted = { counted: true, remainingMs: 500 };
    expect(choose([busy], { remainingMs: 500 })).toBe('busy');
    expect(choose([busy], counted)).toBeUndefined();
    expect(verdicts([busy, candidateOf('idle')], counted)).toMatchObject({ busy: 'too busy' });
    expect(choose([busy], { ...counted, remainingMs: 2_000 })).toBe('busy');
    expect(choose([{ ...busy, loadAgeMs: 5_000 }], counted)).toBe('busy');
    expect(choose([{ ...busy, load: loadOf(null) }], counted)).toBe('busy');
    expect(choose([{ ...busy, waiting: 0, load: loadOf(900) }], counted)).toBe('busy');
  });

  it('never asks a node that was tried or that must be avoided, not even when there is no other', () => {
    const tried = new Set(['tried' as NodeId]);
    const avoid = {
      nodes: new Set(['shunned' as NodeId]),
      owners: new Set(['liar' as OwnerId]),
    };
    const barred = [
      candidateOf('tried'),
      candidateOf('shunned'),
      candidateOf('of liar', { owner: 'liar' }),
    ];
    expect(choose(barred, { tried, avoid })).toBeUndefined();
    expect(choose([...barred, candidateOf('last')], { tried, avoid })).toBe('last');
    expect(verdicts(barred, { tried, avoid })).toEqual({
      tried: 'tried',
      shunned: 'avoided',
      'of liar': 'avoided',
    });
  });

  it('asks who is alive before who is idle', () => {
    const dead = candidateOf('dead', { suspect: true });
    const cooling = candidateOf('cooling', { coolingUntilMs: NOW_MS + 1 });
    const busy = candidateOf('busy', { waiting: 9 });
    expect(choose([dead, cooling, busy])).toBe('busy');
    expect(verdicts([dead, cooling, busy])).toEqual({
      dead: 'silent',
      cooling: 'cooling',
      busy: 'chosen',
    });
  });

  it('asks a silent node before one that cools, and of those that cool the least bad', () => {
    const silent = candidateOf('silent', { suspect: true });
    const later = candidateOf('later', { coolingUntilMs: NOW_MS + 200 });
    const sooner = candidateOf('sooner', { coolingUntilMs: NOW_MS + 100, waiting: 50 });
    expect(choose([later, silent, sooner])).toBe('silent');
    expect(choose([later, sooner])).toBe('sooner');
  });

  it('asks a node that refused this caller last of all, until that is old', () => {
    const forbidden = candidateOf('forbidden', { forbiddenUntilMs: NOW_MS + 1 });
    const cooling = candidateOf('cooling', { coolingUntilMs: NOW_MS + 9, waiting: 50 });
    expect(choose([forbidden, cooling])).toBe('cooling');
    expect(verdicts([forbidden, cooling])).toEqual({ forbidden: 'forbidden', cooling: 'chosen' });
    expect(choose([forbidden])).toBe('forbidden');
    expect(choose([{ ...forbidden, forbiddenUntilMs: NOW_MS }, cooling])).toBe('forbidden');
  });

  it('tries a single node that cools, lest one failure lose it', () => {
    expect(choose([candidateOf('only', { coolingUntilMs: NOW_MS + 1 })])).toBe('only');
  });

  it('asks nodes of another owner than one that failed, while there are any', () => {
    const failedOwners = new Set(['o' as OwnerId]);
    const same = candidateOf('same', { owner: 'o' });
    expect(choose([same, candidateOf('other', { waiting: 5 })], { failedOwners })).toBe('other');
    expect(choose([same], { failedOwners })).toBe('same');
  });

  it('asks whom the caller prefers, while that one answers in time', () => {
    const near = candidateOf('near');
    const liked = candidateOf('liked', { wishesMet: 1, waiting: 10 });
    expect(choose([near, liked])).toBe('liked');
    expect(choose([near, liked], { remainingMs: 100 })).toBe('near');
  });

  it('asks no node for a size that it refused, while another may take it', () => {
    const small = candidateOf('small', { refusedBytes: 1000 });
    const other = candidateOf('other', { waiting: 9 });
    expect(choose([small, other], { bodyBytes: 1000 })).toBe('other');
    expect(choose([small, other], { bodyBytes: 999 })).toBe('small');
    expect(choose([small], { bodyBytes: 1000 })).toBe('small');
  });

  it('has a node that failed lately answer for it', () => {
    expect(
      choose([candidateOf('failed', { penaltyMs: 900 }), candidateOf('b', { waiting: 9 })]),
    ).toBe('b');
  });

  it('uses two equal nodes evenly under light load, though one always measures a little better', () => {
    const better = candidateOf('better', { load: loadOf(20), roundTripMs: 1 });
    const worse = candidateOf('worse', { load: loadOf(23), roundTripMs: 2.5 });
    expect(shares([better, worse], 1_000)).toEqual([500, 500]);
  });

  it('does not take turns with a node that is really slower', () => {
    const slow = candidateOf('slow', { load: loadOf(15) });
    expect(shares([candidateOf('fast'), slow], 100)).toEqual([100, 0]);
  });

  it('does not go by a request more or less that is old news', () => {
    const old = { loadAgeMs: 500 };
    expect(shares([candidateOf('a', { ...old, waiting: 1 }), candidateOf('b', old)], 100)).toEqual([
      50, 50,
    ]);
    expect(shares([candidateOf('a', { waiting: 1 }), candidateOf('b')], 100)).toEqual([0, 100]);
  });

  it('goes the less by a queue the older the news of it is', () => {
    const busy = (loadAgeMs: number) => [
      candidateOf('a', { loadAgeMs, waiting: 8 }),
      candidateOf('b', { loadAgeMs }),
    ];
    expect(shares(busy(100), 100)).toEqual([0, 100]);
    expect(shares(busy(10_000), 100)).toEqual([50, 50]);
  });

  it('does not take a slow node for as good as a fast one whose queue is old news', () => {
    const slow = candidateOf('slow', { load: loadOf(300), loadAgeMs: 5_000 });
    const fast = candidateOf('fast', { waiting: 10, loadAgeMs: 5_000 });
    expect(shares([slow, fast], 100)).toEqual([0, 100]);
  });

  it('gives a newcomer beside proven nodes its share, and equal newcomers all of it', () => {
    const proven = candidateOf('proven');
    const newcomer = candidateOf('newcomer', { startShare: 0.1, load: loadOf(1) });
    const [, share = 0] = shares([proven, newcomer], 2_000);
    expect(share).toBeGreaterThan(150);
    expect(share).toBeLessThan(250);
    const news = ['a', 'b'].map((node) => candidateOf(node, { startShare: 0.1 }));
    expect(shares(news, 100)).toEqual([50, 50]);
  });

  it('leaves out of many nodes those that are hot, in the time they need and not in requests', () => {
    const nodes = Array.from({ length: 8 }, (_, index) =>
      candidateOf(`n${index}`, { waiting: index, load: loadOf(10), roundTripMs: 100 - 12 * index }),
    );
    // By the estimate alone the last one would win: it is nearest, and has the longest queue.
    expect(verdicts(nodes)['n7']).toBe('hot');
    const fast = candidateOf('fast', { load: loadOf(0.5), waiting: 20 });
    expect(verdicts([...nodes.slice(0, 7), fast])['fast']).not.toBe('hot');
  });

  it('chooses the same node for one affinity, moves few when one goes, and leaves one that lags', () => {
    const nodes = ['a', 'b', 'c', 'd'].map((node) => candidateOf(node));
    const keys = Array.from({ length: 200 }, (_, index) => `session ${index}`);
    const homes = new Map(keys.map((affinity) => [affinity, choose(nodes, { affinity })]));
    const random = seededRandom(7);
    for (const [affinity, home] of homes) expect(choose(nodes, { affinity }, random)).toBe(home);
    expect(new Set(homes.values()).size).toBe(4);
    const left = nodes.slice(0, 3);
    for (const [affinity, home] of homes) {
      if (home !== 'd') expect(choose(left, { affinity })).toBe(home);
    }
    const [affinity = '', home] = [...homes][0] ?? [];
    const lagging = nodes.map((node) => (node.node === home ? { ...node, waiting: 5 } : node));
    expect(choose(lagging, { affinity })).not.toBe(home);
  });

  it('decides the same for the same arguments and never picks a barred node', () => {
    const candidates = fc.uniqueArray(
      fc.record({
        node: fc.string({ minLength: 1, maxLength: 3 }),
        waiting: fc.nat(40),
        loadAgeMs: fc.nat(2_000),
        coolingUntilMs: fc.integer({ min: NOW_MS - 50, max: NOW_MS + 50 }),
        startShare: fc.double({ min: 0.1, max: 1, noNaN: true }),
        forbiddenUntilMs: fc.constantFrom(0, NOW_MS + 50),
        suspect: fc.boolean(),
        wishesMet: fc.nat(2),
        refusedBytes: fc.constantFrom(5, Number.POSITIVE_INFINITY),
        roundTripMs: fc.option(fc.double({ min: 0, max: 500, noNaN: true })),
      }),
      { selector: ({ node }) => node, maxLength: 20 },
    );
    fc.assert(
      fc.property(candidates, fc.subarray(['a', 'b', 'c']), fc.nat(), (rows, names, seed) => {
        const list = rows.map(({ node, ...over }) => candidateOf(node, over));
        const request = { bodyBytes: 10, tried: new Set(names as NodeId[]) };
        const once = choose(list, request, seededRandom(seed));
        expect(choose(list, request, seededRandom(seed))).toBe(once);
        const open = selectable(list, routingOf(request), NOW_MS).map(({ node }) => node);
        if (once === undefined) expect(open).toEqual([]);
        else expect(open).toContain(once);
        expect(open.some((node) => request.tried.has(node))).toBe(false);
      }),
    );
  });
});

describe('Many clients with the same old news', () => {
  it('do not all send to the node that seemed idle', () => {
    const counts = new Map<string, number>();
    for (let client = 0; client < 2_000; client += 1) {
      const nodes = Array.from({ length: 12 }, (_, index) =>
        candidateOf(`n${index}`, { loadAgeMs: 800, waiting: index === 0 ? 0 : 1 }),
      );
      const node = choose(nodes, {}, seededRandom(client)) ?? '';
      counts.set(node, (counts.get(node) ?? 0) + 1);
    }
    // An even share is one in twelve.
    expect(Math.max(...counts.values()) / 2_000).toBeLessThan(0.15);
    expect(counts.size).toBe(12);
  });
});
