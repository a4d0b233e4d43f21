import { describe, expect, it } from 'vitest';
import type { NodeId, OwnerId } from '../../../../protocols/types.ts';
import {
  POOL_NODES,
  POOL_OWNER_NODES,
  POOL_ZONE_NODES,
  selectPool,
} from '../../../../src/policy/node-pool.ts';

function nodes(count: number, over: { owner?: string; zone?: string; weight?: number } = {}) {
  const { owner, zone = '', weight = 1 } = over;
  return Array.from({ length: count }, (_, index) => {
    const node = `${owner ?? 'n'}-${index}`;
    return { node: node as NodeId, owner: (owner ?? node) as OwnerId, zone, weight };
  });
}

describe('selectPool', () => {
  it('keeps all of few', () => {
    const few = nodes(POOL_NODES);
    expect(selectPool(few, 'client')).toBe(few);
  });

  it('gives a client the same nodes again, and moves few when one goes', () => {
    const many = nodes(200);
    const pool = selectPool(many, 'client');
    expect(pool).toHaveLength(POOL_NODES);
    expect(selectPool(many.toReversed(), 'client')).toEqual(pool);
    const left = many.filter((node) => node !== pool[3]);
    const kept = selectPool(left, 'client').filter((node) => pool.includes(node));
    expect(kept).toHaveLength(POOL_NODES - 1);
  });

  it('puts a node into as many pools as its weight says', () => {
    const many = [
      ...nodes(100),
      ...nodes(100, { owner: 'fast', weight: 4 }).map((node) => ({
        ...node,
        owner: node.node as string as OwnerId,
      })),
    ];
    let fast = 0;
    let slow = 0;
    for (let client = 0; client < 300; client += 1) {
      for (const { weight } of selectPool(many, `client ${client}`)) {
        if (weight === 4) fast += 1;
        else slow += 1;
      }
    }
    expect(fast / slow).toBeGreaterThan(3.3);
    expect(fast / slow).toBeLessThan(4.7);
  });

  it('stays as it is while a measurement wavers', () => {
    const wavering = nodes(100).map((node, index) => ({ ...node, weight: 1 + (index % 5) / 20 }));
    const ids = (pool: readonly { readonly node: string }[]) => pool.map(({ node }) => node);
    expect(ids(selectPool(wavering, 'c'))).toEqual(ids(selectPool(nodes(100), 'c')));
  });

  it('gives one owner at most half of the places while there are others, and one zone three quarters', () => {
    const crowd = [...nodes(500, { owner: 'crowd' }), ...nodes(20)];
    const owned = selectPool(crowd, 'client').filter(({ owner }) => owner === 'crowd');
    expect(owned).toHaveLength(POOL_OWNER_NODES);
    const place = [...nodes(500, { zone: 'here' }), ...nodes(20, { owner: 'x', zone: 'there' })];
    const zoned = selectPool(place, 'client').filter(({ zone }) => zone === 'here');
    expect(zoned).toHaveLength(POOL_ZONE_NODES);
    expect(selectPool(nodes(50, { owner: 'only' }), 'client')).toHaveLength(POOL_NODES);
  });
});
