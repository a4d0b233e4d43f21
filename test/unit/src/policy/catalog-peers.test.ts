import { describe, expect, it } from 'vitest';
import type { NodeId, VersionCid } from '../../../../protocols/types.ts';
import { selectCatalogPeers } from '../../../../src/policy/catalog-peers.ts';

const holder = (node: string, ...versions: string[]) => ({
  node: node as NodeId,
  versions: new Set(versions as VersionCid[]),
});

describe('selectCatalogPeers', () => {
  it('takes the node that adds most first, and none that adds nothing', () => {
    const holders = [
      holder('a', '1'),
      holder('b', '1', '2', '3'),
      holder('c', '3', '4'),
      holder('d', '2'),
    ];
    expect(selectCatalogPeers(holders, [], 8)).toEqual(['b', 'c']);
  });

  it('adds the connected peers, none twice', () => {
    expect(selectCatalogPeers([holder('a', '1')], ['x', 'a', 'y'], 8)).toEqual(['a', 'x', 'y']);
  });

  it('takes at most so many', () => {
    const holders = Array.from({ length: 5 }, (_, index) => holder(`n${index}`, `v${index}`));
    expect(selectCatalogPeers(holders, ['x'], 3)).toHaveLength(3);
  });
});
