import * as dagCbor from '@ipld/dag-cbor';
import { describe, expect, it } from 'vitest';
import { MAX_CATALOG_METADATA_BYTES } from '../../../../protocols/routing/index.ts';
import type { VersionCid } from '../../../../protocols/types.ts';
import { catalogMetadata, releasedVersion } from '../../../../src/swarm/catalog.ts';

const cid = (text: string) => text as VersionCid;

describe('releasedVersion', () => {
  const channels = { beta: { cid: cid('b') }, stable: { cid: cid('s') }, alpha: { cid: cid('a') } };

  it.each([
    [['a', 'b', 's'], 's'],
    [['b', 'a'], 'a'],
    [['b'], 'b'],
    [['x'], undefined],
  ])('of the versions %j is %s', (held, version) => {
    expect(releasedVersion({ channels }, new Set(held.map(cid)))).toBe(version);
  });
});

describe('catalogMetadata', () => {
  it('copies what people search by, and no more', () => {
    const metadata = { task: 't', description: 'd', licence: 'l', source: 's', labels: { a: 'b' } };
    expect(catalogMetadata(metadata)).toEqual({
      task: 't',
      description: 'd',
      licence: 'l',
      labels: { a: 'b' },
    });
    expect(catalogMetadata({})).toEqual({});
  });

  it('cuts a long description, and labels that would not fit', () => {
    const labels = Object.fromEntries(
      Array.from({ length: 64 }, (_, index) => [`label-${index}`, 'ü'.repeat(256)]),
    );
    const cut = catalogMetadata({ description: 'x'.repeat(8192), labels });
    expect(cut.description).toHaveLength(512);
    expect(Object.keys(cut.labels ?? {}).length).toBeGreaterThan(4);
    expect(dagCbor.encode(cut).byteLength).toBeLessThanOrEqual(MAX_CATALOG_METADATA_BYTES);
  });
});
