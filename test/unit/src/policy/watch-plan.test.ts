import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../../../protocols/types.ts';
import {
  MAX_WATCHED,
  selectWatched,
  WATCHED_HOLDERS,
  WATCHED_NEIGHBOURS,
} from '../../../../src/policy/watch-plan.ts';

const nodesOf = (count: number): NodeId[] =>
  Array.from({ length: count }, (_, index) => `node-${index}` as NodeId);

describe('selectWatched', () => {
  it('has all the holders of a version watch each other while they are few', () => {
    const holders = nodesOf(WATCHED_HOLDERS + 1);
    for (const self of holders) {
      const watched = selectWatched({ self, coHolders: new Map([['v', holders]]), nodes: [] });
      expect(watched).toEqual(new Set(holders.filter((node) => node !== self)));
    }
  });

  it('has each of many holders watched by as many as there are places', () => {
    fc.assert(
      fc.property(fc.integer({ min: WATCHED_HOLDERS + 2, max: 60 }), (count) => {
        const holders = nodesOf(count);
        const watchers = new Map(holders.map((node) => [node, 0]));
        for (const self of holders) {
          const watched = selectWatched({ self, coHolders: new Map([['v', holders]]), nodes: [] });
          for (const node of watched) watchers.set(node, (watchers.get(node) ?? 0) + 1);
        }
        expect(new Set(watchers.values())).toEqual(new Set([WATCHED_HOLDERS]));
      }),
    );
  });

  it('has each node watched by neighbours, whatever it holds', () => {
    const nodes = nodesOf(50);
    const watchers = new Map(nodes.map((node) => [node, 0]));
    for (const self of nodes) {
      for (const node of selectWatched({ self, coHolders: new Map(), nodes })) {
        watchers.set(node, (watchers.get(node) ?? 0) + 1);
      }
    }
    expect(new Set(watchers.values())).toEqual(new Set([WATCHED_NEIGHBOURS]));
  });

  it('watches one holder of each version before a second of any, and never more than its bound', () => {
    const self = 'self' as NodeId;
    const coHolders = new Map(
      Array.from({ length: MAX_WATCHED + 8 }, (_, version) => [
        `v${version}`,
        Array.from({ length: 9 }, (_, index) => `v${version}-${index}` as NodeId),
      ]),
    );
    const watched = selectWatched({ self, coHolders, nodes: [] });
    expect(watched.size).toBe(MAX_WATCHED);
    expect(new Set([...watched].map((node) => node.split('-')[0])).size).toBe(MAX_WATCHED);
  });
});
