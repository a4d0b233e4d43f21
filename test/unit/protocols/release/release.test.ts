import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MAX_RELEASE_BYTES } from '../../../../protocols/limits.ts';
import {
  decodeRelease,
  type ReleaseRecord,
  signRelease,
} from '../../../../protocols/release/index.ts';
import {
  CID_A,
  CID_B,
  delegatedRecord,
  firstRecord,
  NOW_MS,
  OTHER,
  otherKey,
  publisherKey,
  releaseVectors,
} from '../../../vectors/release.ts';

describe('decodeRelease', () => {
  for (const { name, bytes, nowMs, refused, message, record } of releaseVectors) {
    if (refused === undefined) {
      it(`takes the record '${name}'`, async () => {
        expect(await decodeRelease(bytes, { nowMs })).toEqual(record);
      });
    } else {
      it(`refuses the record '${name}'`, async () => {
        const decoding = decodeRelease(bytes, { nowMs });
        await expect(decoding).rejects.toMatchObject({ code: refused });
        if (message !== undefined) await expect(decoding).rejects.toThrow(message);
      });
    }
  }

  it('refuses a record at every cut of its bytes', async () => {
    const bytes = await signRelease(firstRecord, publisherKey);
    for (let length = 0; length < bytes.byteLength; length += 1) {
      await expect(
        decodeRelease(bytes.subarray(0, length), { nowMs: NOW_MS }),
      ).rejects.toMatchObject({ code: 'ERR_INVALID_RECORD' });
    }
  });

  it('reads an expired record when validity is not asked about', async () => {
    const bytes = await signRelease(firstRecord, publisherKey);
    expect(await decodeRelease(bytes, { nowMs: null })).toEqual(firstRecord);
  });

  it('finds no channel under a name that every object has', async () => {
    const bytes = await signRelease(firstRecord, publisherKey);
    const { channels } = await decodeRelease(bytes, { nowMs: NOW_MS });
    expect(channels['constructor']).toBeUndefined();
    expect(channels['stable']?.cid).toBe(CID_A);
  });
});

describe('signRelease', () => {
  it('gives the same bytes as in every earlier version of this program', async () => {
    const bytes = await signRelease(firstRecord, publisherKey);
    expect(createHash('sha256').update(bytes).digest('hex')).toMatchInlineSnapshot(
      `"1a6edd3d1da42872c6d092703ce8163f405bbc2bff2ff00d779091c4837552f0"`,
    );
  });

  it('refuses a key that is neither the publisher’s nor a delegate’s', async () => {
    await expect(signRelease(firstRecord, otherKey)).rejects.toThrow(
      `is signed by ${OTHER}, expected its publisher or a certificate`,
    );
    await expect(signRelease(delegatedRecord, publisherKey)).rejects.toThrow(
      'signed by its publisher, expected no certificate',
    );
  });

  it('refuses a record one byte over the limit and takes one just under', async () => {
    const largestGuard = {
      maxErrorRate: 0.123456789,
      maxLatencyRatio: 123.456789,
      minSamples: 1_000_000,
      minReporters: 1000,
      windowMs: 86_400_000,
    };
    const sized = (length: number): ReleaseRecord => ({
      ...firstRecord,
      channels: Object.fromEntries(
        Array.from({ length: 16 }, (_, index) => [
          `c${index}`.padEnd(length, 'x'),
          { cid: CID_A, weight: 0.123456789, previous: CID_B, guard: largestGuard },
        ]),
      ),
      history: Array.from({ length: 32 }, () => ({
        sequence: 1,
        channel: 'x'.repeat(length),
        cid: CID_A,
        atMs: NOW_MS,
      })),
    });
    // The largest record that the schema allows must fit: the byte limit is for strangers.
    const bytes = await signRelease(sized(64), publisherKey);
    expect(bytes.byteLength).toBeLessThan(MAX_RELEASE_BYTES);
    expect((await decodeRelease(bytes, { nowMs: NOW_MS })).history).toHaveLength(32);
  });

  it('refuses one move of history and one channel too many', async () => {
    const move = firstRecord.history[0] ?? expect.fail('no history');
    const history = Array.from({ length: 33 }, () => move);
    await expect(signRelease({ ...firstRecord, history }, publisherKey)).rejects.toThrow(
      'field history',
    );
    const channels = Object.fromEntries(
      Array.from({ length: 17 }, (_, index) => [`c${index}`, { cid: CID_A }]),
    );
    await expect(signRelease({ ...firstRecord, channels }, publisherKey)).rejects.toThrow(
      'field channels',
    );
  });
});
