import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NodeId, OwnerId, VersionCid } from '../../../../../protocols/types.ts';
import { rankNodes } from '../../../../../src/policy/scaling/node-rank.ts';
import type { ScalingNode } from '../../../../../src/policy/scaling/scaling-view.ts';

function node(name: string, fields: Partial<ScalingNode> = {}): ScalingNode {
  return {
    node: name as NodeId,
    owner: `owner of ${name}` as OwnerId,
    ...{ zone: '', accepting: true, memoryFreeBytes: null, providers: [], speed: null },
    ...{ costPerHour: null, serving: 0, busyShare: null, diskFreeBytes: null, ...fields },
  };
}

function rank(nodes: readonly ScalingNode[], version = 'hot', count = nodes.length) {
  const input = { cid: version as VersionCid, stored: new Set<NodeId>(), placed: [], count };
  return rankNodes(nodes, input).map((one) => one.node as string);
}

/** How many of many versions each node is the first for. */
function firsts(
  nodes: readonly ScalingNode[],
  stored: readonly string[] = [],
): Map<string, number> {
  const counts = new Map<string, number>();
  for (let index = 0; index < 2_000; index += 1) {
    const input = { cid: `v${index}` as VersionCid, placed: [], count: 1 };
    const [first] = rankNodes(nodes, { ...input, stored: new Set(stored as NodeId[]) });
    if (first !== undefined) counts.set(first.node, (counts.get(first.node) ?? 0) + 1);
  }
  return counts;
}

describe('rankNodes', () => {
  it('gives the same order whatever the order of what is known', () => {
    const names = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(names, (found) => {
        const nodes = found.map((name) => node(name));
        expect(rank(nodes.toReversed())).toEqual(rank(nodes));
      }),
    );
  });

  it('chooses each place anew among all that are left', () => {
    const some = fc.record({
      owner: fc.integer({ min: 0, max: 3 }),
      zone: fc.constantFrom('', 'a', 'b'),
      speed: fc.constantFrom(null, 0.5, 3),
      placed: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(some, { maxLength: 24 }), (drawn) => {
        const all = drawn.map(({ owner, zone, speed }, index) =>
          node(`n${index}`, { owner: `o${owner}` as OwnerId, zone, speed }),
        );
        const placed = all.filter((_, index) => drawn[index]?.placed === true);
        let left = all.filter((one) => !placed.includes(one));
        const input = { cid: 'hot' as VersionCid, stored: new Set<NodeId>(), placed };
        const order = rankNodes(left, { ...input, count: left.length });
        const given = [...placed];
        for (const next of order) {
          const [nearest] = rankNodes(left, { ...input, placed: given, count: 1 });
          expect(next).toBe(nearest);
          given.push(next);
          left = left.filter((one) => one !== next);
        }
        expect(left).toEqual([]);
      }),
    );
  });

  it('ends with the node that is asked for', () => {
    const nodes = Array.from({ length: 20 }, (_, index) => node(`n${index}`));
    const input = { cid: 'hot' as VersionCid, stored: new Set<NodeId>(), placed: [], count: 20 };
    const order = rankNodes(nodes, input);
    const until = order[7]?.node;
    expect(rankNodes(nodes, { ...input, until })).toEqual(order.slice(0, 8));
  });

  it('leaves the order of the others as it was when one goes', () => {
    const nodes = Array.from({ length: 20 }, (_, index) => node(`n${index}`));
    const order = rank(nodes);
    for (const gone of nodes) {
      const left = rank(nodes.filter((one) => one !== gone));
      expect(left).toEqual(order.filter((name) => name !== gone.node));
    }
  });

  it('spreads versions evenly over equals', () => {
    const counts = firsts(Array.from({ length: 10 }, (_, index) => node(`n${index}`)));
    for (const count of counts.values()) expect(Math.abs(count - 200)).toBeLessThan(60);
  });

  it.each<[string, (index: number) => Partial<ScalingNode>, number, number]>([
    // Of the 11 left 3 would be of the same owner, 27 %. Four times their distances are less than those of the other 8, all of them
    // beyond the first's: exponentials of rates 3, 8 and 12 give 12 / (12 + 3 × 8) × 3 / (3 + 4 × 8).
    ['owner', (index) => ({ owner: `o${index % 3}` as OwnerId }), 3, 1 / 35],
    // 5 of 11, 45 %, and twice their distances: 12 / (12 + 6) × 5 / (5 + 2 × 6).
    ['zone', (index) => ({ zone: `z${index % 2}` }), 2, 10 / 51],
  ])('puts the second rarely where the first is: of one %s', (_, fields, places, expected) => {
    const nodes = Array.from({ length: 12 }, (_one, index) => node(`n${index}`, fields(index)));
    let same = 0;
    for (let index = 0; index < 2_000; index += 1) {
      const [first, second] = rank(nodes, `v${index}`, 2).map((name) => Number(name.slice(1)));
      if ((first ?? 0) % places === (second ?? 0) % places) same += 1;
    }
    expect(Math.abs(same / 2_000 - expected)).toBeLessThan(0.02);
  });

  it.each([
    ['that has the weights', {}, ['n0'], 0.4],
    ['that runs something already', { serving: 1 }, [], 0.25],
    ['that is four times as fast', { speed: 4 }, [], 0.25],
    ['that costs a quarter', { costPerHour: 0.25 }, [], 0.5],
  ])('prefers one %s', (_, fields, stored, share) => {
    const others = Array.from({ length: 9 }, (_one, index) => {
      return node(`n${index + 1}`, { costPerHour: 1 });
    });
    const counts = firsts([node('n0', { costPerHour: 1, ...fields }), ...others], stored);
    expect((counts.get('n0') ?? 0) / 2_000).toBeGreaterThan(share);
  });

  it('stops preferring one in use when it has no time left', () => {
    const others = Array.from({ length: 9 }, (_, index) => node(`n${index + 1}`));
    const counts = firsts([node('n0', { serving: 1, busyShare: 0.9 }), ...others]);
    expect((counts.get('n0') ?? 0) / 2_000).toBeLessThan(0.15);
  });
});
