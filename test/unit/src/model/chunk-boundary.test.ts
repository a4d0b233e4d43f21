import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digestText, sha256 } from '../../../../protocols/digest.ts';
import { MAX_CHUNK_BYTES } from '../../../../protocols/limits.ts';
import { BoundaryFinder, MIN_CHUNK_BYTES } from '../../../../src/model/chunk-boundary.ts';
import { GEAR } from '../../../../src/model/gear-table.ts';
import { noise } from '../../../support/noise.ts';

/** The ends of all chunks when the bytes come in pieces of the given sizes, over and over. */
function boundaries(bytes: Uint8Array, pieces: readonly number[]): number[] {
  const finder = new BoundaryFinder();
  const ends: number[] = [];
  let offset = 0;
  for (let index = 0; offset < bytes.byteLength; index += 1) {
    const size = pieces[index % pieces.length] ?? bytes.byteLength;
    const piece = bytes.subarray(offset, offset + size);
    let start = 0;
    for (let end = finder.next(piece, start); end !== undefined; ) {
      ends.push(offset + end);
      start = end;
      end = start < piece.byteLength ? finder.next(piece, start) : undefined;
    }
    offset += piece.byteLength;
  }
  return ends;
}

describe('GEAR', () => {
  it('is the same table on every machine and in every version', () => {
    expect([...GEAR.subarray(0, 3)]).toMatchInlineSnapshot(`
      [
        -1983447923,
        -1432829766,
        1076285516,
      ]
    `);
    const bytes = Buffer.alloc(1024);
    GEAR.forEach((word, index) => bytes.writeInt32LE(word, index * 4));
    expect(digestText(sha256(bytes))).toMatchInlineSnapshot(
      `"c63ddc891699a0f1c1c577d34ab5c53ff4998d7050ecab3ca06447cc1c8a4ae6"`,
    );
  });
});

describe('BoundaryFinder', () => {
  const bytes = noise(12 * 1024 * 1024, 1);
  const whole = boundaries(bytes, [bytes.byteLength]);

  it('cuts the same bytes where every earlier version did', () => {
    expect(whole).toMatchInlineSnapshot(`
      [
        429103,
        955980,
        2228128,
        3278469,
        4415772,
        5572164,
        6601609,
        7575807,
        8559190,
        9747772,
        11068860,
        12099825,
      ]
    `);
  });

  it('finds the same boundaries whatever pieces the bytes come in', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 3_000_000 }), { minLength: 1, maxLength: 5 }),
        (pieces) => {
          // Many tiny pieces would take long and show no more.
          fc.pre(Math.max(...pieces) > 10_000);
          expect(boundaries(bytes, pieces)).toEqual(whole);
        },
      ),
      { numRuns: 12 },
    );
  });

  it('cuts where the 32 bytes before say so, by the strict rule until 896 KiB and the loose one after', () => {
    let start = 0;
    for (const end of whole) {
      let hash = 0;
      for (const byte of bytes.subarray(end - 32, end))
        hash = ((hash << 1) + (GEAR[byte] ?? 0)) | 0;
      const size = end - start;
      expect(size).toBeLessThan(MAX_CHUNK_BYTES);
      expect(hash >>> (size <= 896 * 1024 ? 10 : 14)).toBe(0);
      start = end;
    }
  });

  it('keeps chunks within their bounds, whatever the bytes', () => {
    for (const content of [bytes, new Uint8Array(5_000_000), new Uint8Array(5_000_000).fill(255)]) {
      const ends = boundaries(content, [1_000_000]);
      const sizes = ends.map((end, index) => end - (ends[index - 1] ?? 0));
      expect(Math.min(...sizes)).toBeGreaterThanOrEqual(MIN_CHUNK_BYTES);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_CHUNK_BYTES);
    }
  });

  it('cuts bytes that are all alike at the largest size', () => {
    expect(boundaries(new Uint8Array(MAX_CHUNK_BYTES - 1), [70_000])).toEqual([]);
    expect(boundaries(new Uint8Array(MAX_CHUNK_BYTES), [70_000])).toEqual([MAX_CHUNK_BYTES]);
  });
});
