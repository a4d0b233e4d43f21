import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Manifest } from '../../../../protocols/manifest/index.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import type { VersionCid } from '../../../../protocols/types.ts';
import { cacheKey, ResponseCache } from '../../../../src/gateway/response-cache.ts';

const CID = 'bafy1' as VersionCid;
const of = (bytes: number) => ({ y: new Tensor('UINT8', [bytes], new Uint8Array(bytes)) });
const x = Tensor.from('FP32', [2], [1, 2]);

describe('ResponseCache', () => {
  it('keeps the answers of the models that were named, where golden vectors show that they are always the same', () => {
    const cache = new ResponseCache({ models: ['p/m'], maxBytes: 1000 });
    const keeps = (name: string, golden?: { file: string }) =>
      cache.keeps({ name, manifest: { golden } as Manifest });
    const golden = { file: 'golden.json' };
    expect([keeps('p/m', golden), keeps('p/m'), keeps('p/other', golden)]).toEqual([
      ...[true, false, false],
    ]);
  });

  it('drops what was not asked for the longest', () => {
    const cache = new ResponseCache({ models: [], maxBytes: 2000 });
    cache.set('a', of(400));
    cache.set('b', of(400));
    expect(cache.get('a')).toBeDefined();
    cache.set('c', of(400));
    expect(['a', 'b', 'c'].map((key) => cache.get(key) !== undefined)).toEqual([true, false, true]);
  });

  it('never holds more than its bound, whatever comes', () => {
    const entries = fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.nat(3000)));
    fc.assert(
      fc.property(entries, (sets) => {
        const cache = new ResponseCache({ models: [], maxBytes: 2500 });
        for (const [key, bytes] of sets) {
          cache.set(String(key), of(bytes));
          expect(cache.bytes).toBeLessThanOrEqual(2500);
        }
      }),
    );
  });

  it('holds no more of a message than the tensor', () => {
    const cache = new ResponseCache({ models: [], maxBytes: 2000 });
    const message = new Uint8Array(1_000_000);
    cache.set('a', { y: new Tensor('UINT8', [8], message.subarray(16, 24)) });
    expect(cache.get('a')?.['y']?.bytes.buffer.byteLength).toBe(8);
  });
});

describe('cacheKey', () => {
  it('is one for one question, in whatever order it is put', () => {
    const y = Tensor.from('INT8', [1], [1]);
    expect(cacheKey(CID, { x, y }, ['a', 'b'])).toBe(cacheKey(CID, { y, x }, ['b', 'a']));
  });

  it.each([
    ['another version', cacheKey('bafy2' as VersionCid, { x }, [])],
    ['another name', cacheKey(CID, { z: x }, [])],
    ['another shape', cacheKey(CID, { x: Tensor.from('FP32', [1, 2], [1, 2]) }, [])],
    ['another datatype', cacheKey(CID, { x: new Tensor('INT32', [2], x.bytes) }, [])],
    ['other values', cacheKey(CID, { x: Tensor.from('FP32', [2], [1, -2]) }, [])],
    ['one input more', cacheKey(CID, { x, y: x }, [])],
    ['other outputs', cacheKey(CID, { x }, ['y'])],
  ])('is another for %s', (_, key) => {
    expect(key).not.toBe(cacheKey(CID, { x }, []));
  });
});
