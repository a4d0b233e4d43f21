import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digestText } from '../../../../protocols/digest.ts';
import { MAX_CHUNK_BYTES } from '../../../../protocols/limits.ts';
import { type ByteSource, memorySource } from '../../../../src/model/byte-source.ts';
import { MIN_CHUNK_BYTES } from '../../../../src/model/chunk-boundary.ts';
import { type ChunkedFile, chunkFile } from '../../../../src/model/chunker.ts';
import { noise } from '../../../support/noise.ts';

const MIB = 1024 * 1024;
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Bytes of chunks of the second that the first does not have. */
function newBytes(before: ChunkedFile, after: ChunkedFile): number {
  const known = new Set(before.chunks.map(({ digest }) => digestText(digest)));
  return after.chunks
    .filter(({ digest }) => !known.has(digestText(digest)))
    .reduce((sum, { size }) => sum + size, 0);
}

function changed(bytes: Uint8Array, offset: number, removed: number, inserted: Uint8Array) {
  return Buffer.concat([bytes.subarray(0, offset), inserted, bytes.subarray(offset + removed)]);
}

describe('chunkFile', () => {
  const bytes = noise(16 * MIB, 2);

  it('has no chunk for an empty file and one for a small one', async () => {
    const empty = await chunkFile(memorySource(new Uint8Array(0)));
    expect(empty).toEqual({ size: 0, sha256: expect.any(Uint8Array), chunks: [] });
    expect(digestText(empty.sha256)).toBe(sha(new Uint8Array(0)));
    const one = Uint8Array.of(1);
    expect((await chunkFile(memorySource(one))).chunks.map(({ size }) => size)).toEqual([1]);
  });

  it('lists chunks that are, one after the other, the file', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(6 * MIB), fc.nat(100), async (size, seed) => {
        const content = noise(size, seed);
        const file = await chunkFile(memorySource(content));
        let offset = 0;
        for (const [index, chunk] of file.chunks.entries()) {
          expect(digestText(chunk.digest)).toBe(sha(content.subarray(offset, offset + chunk.size)));
          expect(chunk.size).toBeLessThanOrEqual(MAX_CHUNK_BYTES);
          const last = index === file.chunks.length - 1;
          expect(chunk.size).toBeGreaterThanOrEqual(last ? 1 : MIN_CHUNK_BYTES);
          offset += chunk.size;
        }
        expect([offset, file.size]).toEqual([size, size]);
        expect(digestText(file.sha256)).toBe(sha(content));
      }),
      { numRuns: 15 },
    );
  });

  it('makes chunks of about 1 MiB', async () => {
    const { chunks } = await chunkFile(memorySource(bytes));
    expect(bytes.byteLength / chunks.length).toBeGreaterThan(0.7 * MIB);
    expect(bytes.byteLength / chunks.length).toBeLessThan(1.4 * MIB);
  });

  it.each<[what: string, offset: number, removed: number, inserted: number]>([
    ['100 bytes are put in front', 0, 0, 100],
    ['one byte in the middle is another', 11 * MIB, 1, 1],
    ['a byte in the middle is gone', 11 * MIB, 1, 0],
    ['a stretch of 1 MiB is another', 9 * MIB, MIB, MIB],
    ['something is put behind', 16 * MIB, 0, 5000],
  ])(
    'moves only the chunks around the place where %s',
    async (_what, offset, removed, inserted) => {
      const before = await chunkFile(memorySource(bytes));
      const after = await chunkFile(
        memorySource(changed(bytes, offset, removed, noise(inserted, 3))),
      );
      // The chunks that hold the change, and one or two until the boundaries are the old ones again.
      expect(newBytes(before, after)).toBeLessThan(inserted + 3 * MAX_CHUNK_BYTES);
      expect(newBytes(before, after)).toBeGreaterThan(0);
    },
  );

  it('reads a file piece by piece and never twice', async () => {
    let reads = 0;
    let next = 0;
    const source: ByteSource = {
      size: bytes.byteLength,
      async read(offset, length) {
        expect(offset).toBe(next);
        expect(length).toBeLessThanOrEqual(MIB);
        next = offset + length;
        reads += 1;
        return bytes.subarray(offset, offset + length);
      },
    };
    const told: number[] = [];
    const file = await chunkFile(source, { onBytes: (count) => told.push(count) });
    expect(digestText(file.sha256)).toBe(sha(bytes));
    expect(reads).toBeGreaterThan(15);
    expect(told.reduce((a, b) => a + b, 0)).toBe(bytes.byteLength);
  });

  it('ends with its signal’s reason, without another read left to fail unheard', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const chunking = chunkFile(memorySource(bytes), {
      signal: controller.signal,
      onBytes: () => controller.abort(reason),
    });
    await expect(chunking).rejects.toBe(reason);
  });

  it('fails as the source does', async () => {
    const source: ByteSource = {
      size: 2 * MIB,
      read: (o, n) => memorySource(bytes.subarray(0, MIB)).read(o, n),
    };
    await expect(chunkFile(source)).rejects.toMatchObject({ code: 'ERR_INVALID_MODEL' });
  });
});
