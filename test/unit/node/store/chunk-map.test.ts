import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChunkMap } from '../../../../node/store/chunk-map.ts';
import { digestText } from '../../../../protocols/digest.ts';
import { present } from '../../../support/present.ts';

const digest = (id: number): Uint8Array => new Uint8Array(32).fill(id);
const chunk = (id: number, size: number) => ({ digest: digest(id), size });

describe('ChunkMap', () => {
  it('places each chunk after the one before it, file by file', () => {
    const map = new ChunkMap([[chunk(1, 10), chunk(2, 5)], [], [chunk(1, 10)]]);
    expect(map.missing()).toEqual([
      { file: 0, index: 0, offset: 0, size: 10, digest: digest(1) },
      { file: 0, index: 1, offset: 10, size: 5, digest: digest(2) },
      { file: 2, index: 0, offset: 0, size: 10, digest: digest(1) },
    ]);
    expect(map.missingBytes).toBe(25);
  });

  it('counts what is in place once, also when it is added twice', () => {
    const map = new ChunkMap([[chunk(1, 10), chunk(2, 5)]]);
    const [first, second] = present(map.files[0]).map((place) => present(place));
    map.add(present(first));
    map.add(present(first));
    expect(map.missingBytes).toBe(5);
    expect(map.missing()).toEqual([second]);
    map.delete(present(first));
    map.delete(present(first));
    expect(map.missingBytes).toBe(15);
  });

  it('finds a chunk by digest as long as it is in place', () => {
    const map = new ChunkMap([[chunk(1, 10)]]);
    const place = present(present(map.files[0])[0]);
    expect(map.find(digestText(digest(1)))).toBeUndefined();
    map.add(place);
    expect(map.find(digestText(digest(1)))).toBe(place);
    map.delete(place);
    expect(map.find(digestText(digest(1)))).toBeUndefined();
  });

  it('knows as missing what was not added or was deleted since, whatever the order', () => {
    const lists = fc.array(fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 5 }), {
      maxLength: 4,
    });
    const moves = fc.array(fc.tuple(fc.boolean(), fc.nat()), { maxLength: 40 });
    fc.assert(
      fc.property(lists, moves, (sizes, steps) => {
        const map = new ChunkMap(sizes.map((file) => file.map((size) => chunk(size % 3, size))));
        const places = map.files.flat();
        const model = new Set(places);
        for (const [adds, pick] of steps) {
          const place = places[pick % Math.max(1, places.length)];
          if (place === undefined) continue;
          if (adds) map.add(place);
          else map.delete(place);
          if (adds) model.delete(place);
          else model.add(place);
        }
        expect(new Set(map.missing())).toEqual(model);
        expect(map.missingBytes).toBe([...model].reduce((total, { size }) => total + size, 0));
      }),
    );
  });
});
