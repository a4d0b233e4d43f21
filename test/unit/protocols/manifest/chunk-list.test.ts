import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_CHUNK_BYTES } from '../../../../protocols/limits.ts';
import {
  chunkListBytes,
  decodeChunkList,
  encodeChunkList,
} from '../../../../protocols/manifest/index.ts';
import { present } from '../../../support/present.ts';
import { refusal } from '../../../support/refusal.ts';
import {
  chunkListVectors,
  cidOf,
  smallChunkList,
  smallChunkListBlock,
} from '../../../vectors/manifest.ts';

describe('decodeChunkList', () => {
  it.each(chunkListVectors.filter(({ refused }) => refused === undefined))(
    "takes the list '$name'",
    ({ bytes, chunks }) => {
      expect(decodeChunkList(bytes, cidOf(bytes))).toEqual(chunks);
    },
  );

  it.each(chunkListVectors.filter(({ refused }) => refused !== undefined))(
    "refuses the list '$name'",
    ({ bytes, refused, message }) => {
      expect(() => decodeChunkList(bytes, cidOf(bytes))).toThrow(
        refusal(present(refused), present(message)),
      );
    },
  );

  it('refuses a list of another hash before it looks inside', () => {
    const garbage = Uint8Array.of(0xff);
    expect(() => decodeChunkList(garbage, cidOf(smallChunkListBlock))).toThrow(
      refusal(
        'ERR_INVALID_RECORD',
        `chunk list hashes to ${cidOf(garbage)}, expected ${cidOf(smallChunkListBlock)}`,
      ),
    );
  });
});

describe('encodeChunkList', () => {
  it('gives the same bytes and CID as in every earlier version of this program', () => {
    expect(encodeChunkList(smallChunkList)).toEqual({
      bytes: smallChunkListBlock,
      cid: cidOf(smallChunkListBlock),
    });
  });

  it('gives back whatever was encoded', () => {
    const chunk = fc.record({
      digest: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      size: fc.integer({ min: 1, max: MAX_CHUNK_BYTES }),
    });
    fc.assert(
      fc.property(fc.array(chunk), (chunks) => {
        const { bytes, cid } = encodeChunkList(chunks);
        expect(decodeChunkList(bytes, cid)).toEqual(chunks);
      }),
    );
  });

  it('takes a list of almost 2 MiB and refuses a longer one', () => {
    const chunk = { digest: new Uint8Array(32), size: MAX_CHUNK_BYTES };
    const bytesOf = (count: number) =>
      encodeChunkList(Array.from({ length: count }, () => chunk)).bytes;
    const perChunk = bytesOf(30_001).byteLength - bytesOf(30_000).byteLength;
    const most = Math.floor((2 * 1024 * 1024 - 3) / perChunk);
    expect(most).toBeGreaterThan(36_000);
    expect(bytesOf(most).byteLength).toBeLessThanOrEqual(2 * 1024 * 1024);
    expect(() => bytesOf(most + 1)).toThrow(
      refusal('ERR_LIMIT', /^chunk list has 20971\d\d bytes/),
    );
  });
});

describe('chunkListBytes', () => {
  it('adds up the chunks', () => {
    expect(chunkListBytes([])).toBe(0);
    expect(chunkListBytes([...smallChunkList, ...smallChunkList])).toBe(6);
  });
});
