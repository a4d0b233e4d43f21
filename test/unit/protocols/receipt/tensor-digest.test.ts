import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeTensors,
  digestTensors,
  encodeTensors,
} from '../../../../protocols/receipt/index.ts';
import { type NamedTensor, Tensor } from '../../../../protocols/tensor.ts';
import { toHex } from '../../../support/hex.ts';
import { tensorVectors } from '../../../vectors/receipt.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const named = (name: string, bytes: Uint8Array, shape = [bytes.byteLength]): NamedTensor => ({
  name,
  tensor: new Tensor('UINT8', shape, bytes),
});

const tensors = fc.uniqueArray(
  fc
    .tuple(fc.string({ maxLength: 12 }), fc.uint8Array({ maxLength: 40 }))
    .map(([name, bytes]) => named(name, bytes)),
  { maxLength: 5, selector: ({ name }) => Buffer.from(name, 'utf8').toString('hex') },
);

describe('encodeTensors', () => {
  it.each(tensorVectors)('writes $name', ({ tensors, bytes }) => {
    expect(toHex(encodeTensors(tensors))).toBe(toHex(bytes));
  });

  it.each(tensorVectors)('is read back for $name', ({ tensors, bytes }) => {
    const byName = tensors.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    expect(decodeTensors(bytes)).toEqual(byName);
  });

  it.each(tensorVectors)('is refused when cut anywhere, for $name', ({ bytes }) => {
    for (let length = 0; length < bytes.byteLength; length += 1) {
      expect(() => decodeTensors(bytes.subarray(0, length)), `${length} bytes`).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_MESSAGE' }),
      );
    }
  });
});

describe('decodeTensors', () => {
  it('refuses bytes behind the last tensor', () => {
    const bytes = Uint8Array.of(...encodeTensors([]), 0);
    expect(() => decodeTensors(bytes)).toThrow('1 bytes too many');
  });

  it('refuses bytes of another kind', () => {
    expect(() => decodeTensors(new Uint8Array(64))).toThrow('another domain');
  });
});

describe('digestTensors', () => {
  it.each(tensorVectors)('is the sha256 of the encoding, for $name', async ({ tensors, bytes }) => {
    expect(toHex(await digestTensors(tensors))).toBe(sha256(bytes));
  });

  it('does not depend on the order of the tensors', async () => {
    await fc.assert(
      fc.asyncProperty(tensors, async (given) => {
        const reversed = given.toReversed();
        expect(await digestTensors(reversed)).toEqual(await digestTensors(given));
      }),
      { numRuns: 50 },
    );
  });

  it('differs by name, datatype, shape and bytes', async () => {
    const bytes = Uint8Array.of(1, 2, 3, 4);
    const digests = [
      [named('x', bytes)],
      [named('y', bytes)],
      [named('x', bytes, [2, 2])],
      [{ name: 'x', tensor: new Tensor('INT8', [4], bytes) }],
      [named('x', Uint8Array.of(1, 2, 3, 5))],
      [named('x', bytes), named('', new Uint8Array())],
    ].map(async (given) => toHex(await digestTensors(given)));
    expect(new Set(await Promise.all(digests)).size).toBe(6);
  });

  it('is the same for what is hashed at once and what is hashed in slices', async () => {
    for (const byteLength of [262_000, 262_144, 700_001]) {
      const given = [
        named('large', new Uint8Array(byteLength).fill(7)),
        named('a', Uint8Array.of(1)),
      ];
      expect(toHex(await digestTensors(given))).toBe(sha256(encodeTensors(given)));
    }
  });

  it('lets others have their turn while it hashes what is large', async () => {
    let turns = 0;
    let done = false;
    const turn = (): void => {
      turns += 1;
      if (!done) setImmediate(turn);
    };
    setImmediate(turn);
    const many = Array.from({ length: 32 }, (_, index) =>
      named(`t${index}`, new Uint8Array(256 * 1024 - 1)),
    );
    await digestTensors(many);
    done = true;
    expect(turns).toBeGreaterThan(10);
  });
});
