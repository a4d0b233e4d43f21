import { describe, expect, it } from 'vitest';
import type { NodeId, OwnerId } from '../../../../protocols/types.ts';
import {
  type PlacementCandidate,
  rankForReplica,
} from '../../../../src/policy/replica-placement.ts';

function host(
  node: string,
  over: Partial<Omit<PlacementCandidate, 'node'>> = {},
): PlacementCandidate {
  return {
    node: node as NodeId,
    owner: node as OwnerId,
    zone: '',
    memoryFreeBytes: 1e9,
    holdsVersion: false,
    ...over,
  };
}

const names = (hosts: readonly PlacementCandidate[]): string[] => hosts.map(({ node }) => node);

describe('rankForReplica', () => {
  it('asks holders first and hosts without room last', () => {
    const ranked = rankForReplica(
      [
        host('small', { memoryFreeBytes: 1 }),
        host('roomy'),
        host('holder', { holdsVersion: true }),
      ],
      'v',
      1e6,
    );
    expect(names(ranked)).toEqual(['holder', 'roomy', 'small']);
  });

  it('takes two owners before the second host of one', () => {
    const ranked = rankForReplica(
      [
        host('a1', { owner: 'a' as OwnerId }),
        host('a2', { owner: 'a' as OwnerId }),
        host('b1', { owner: 'b' as OwnerId }),
      ],
      'v',
      1,
    );
    expect(new Set(ranked.slice(0, 2).map(({ owner }) => owner)).size).toBe(2);
  });

  it('takes two zones before the second host in one', () => {
    const ranked = rankForReplica(
      [host('x', { zone: 'eu' }), host('y', { zone: 'eu' }), host('z', { zone: 'us' })],
      'v',
      1,
    );
    expect(new Set(ranked.slice(0, 2).map(({ zone }) => zone)).size).toBe(2);
  });

  it('spreads versions over equal hosts and ranks the same whatever the order it is told in', () => {
    const hosts = ['a', 'b', 'c', 'd'].map((node) => host(node));
    const firsts = new Map<string, number>();
    for (let i = 0; i < 400; i += 1) {
      const ranked = rankForReplica(hosts, `version-${i}`, 1);
      expect(names(rankForReplica(hosts.toReversed(), `version-${i}`, 1))).toEqual(names(ranked));
      const first = ranked[0]?.node ?? '';
      firsts.set(first, (firsts.get(first) ?? 0) + 1);
    }
    for (const [node, count] of firsts) expect(count, node).toBeGreaterThan(60);
    expect(firsts.size).toBe(4);
  });
});
