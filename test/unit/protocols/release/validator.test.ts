import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../../protocols/digest.ts';
import {
  compareReleases,
  createMemorySequenceStore,
  createReleaseValidator,
  type ReleaseRecord,
  releaseKey,
  type SequenceStore,
  selectRelease,
  signRelease,
} from '../../../../protocols/release/index.ts';
import type { PublisherId } from '../../../../protocols/types.ts';
import {
  CID_A,
  CID_B,
  firstRecord,
  NOW_MS,
  OTHER,
  PUBLISHER,
  publisherKey,
  releaseVectors,
} from '../../../vectors/release.ts';

const KEY = releaseKey(PUBLISHER, 'digits');

async function sign(changes: Partial<ReleaseRecord>): Promise<Uint8Array> {
  return signRelease({ ...firstRecord, ...changes }, publisherKey);
}

function createValidator(sequences: SequenceStore = createMemorySequenceStore()) {
  return createReleaseValidator({ sequences, now: () => NOW_MS });
}

/** Two records of one sequence, the one that must win first. */
async function twins(): Promise<[Uint8Array, Uint8Array]> {
  const records = [
    await sign({ channels: { stable: { cid: CID_A } } }),
    await sign({ channels: { stable: { cid: CID_B } } }),
  ].sort((a, b) => Buffer.compare(sha256(a), sha256(b)));
  return [records[0] ?? expect.fail(), records[1] ?? expect.fail()];
}

describe('createReleaseValidator', () => {
  it('takes a higher sequence after a lower one and the same record again', async () => {
    const validate = createValidator();
    await validate(KEY, await sign({ sequence: 1 }));
    await validate(KEY, await sign({ sequence: 2 }));
    await validate(KEY, await sign({ sequence: 2 }));
  });

  it('refuses an older record after a newer one, also in another run on the same store', async () => {
    const sequences = createMemorySequenceStore();
    await createValidator(sequences)(KEY, await sign({ sequence: 5 }));
    await expect(createValidator(sequences)(KEY, await sign({ sequence: 4 }))).rejects.toThrow(
      'has sequence 4, but 5 was seen',
    );
  });

  it('gives two records of one sequence the same winner in either order', async () => {
    const [winner, loser] = await twins();
    const first = createValidator();
    await first(KEY, winner);
    await expect(first(KEY, loser)).rejects.toThrow('lower hash was seen');
    const second = createValidator();
    await second(KEY, loser);
    await second(KEY, winner);
    await expect(second(KEY, loser)).rejects.toThrow('lower hash was seen');
  });

  it('lets only the newest of many records that come at once be the last word', async () => {
    const entries = new Map<string, Awaited<ReturnType<SequenceStore['get']>>>();
    const slow: SequenceStore = {
      async get(key) {
        await new Promise(setImmediate);
        return entries.get(key);
      },
      async put(key, seen) {
        await new Promise(setImmediate);
        entries.set(key, seen);
      },
    };
    const validate = createValidator(slow);
    const records = await Promise.all([3, 1, 4, 2].map((sequence) => sign({ sequence })));
    const results = await Promise.allSettled(records.map((record) => validate(KEY, record)));
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'rejected',
    ]);
    expect([...entries.values()].map((seen) => seen?.sequence)).toEqual([4]);
  });

  it('refuses a record under the key of another model or publisher', async () => {
    const bytes = await sign({});
    for (const key of [
      releaseKey(PUBLISHER, 'letters'),
      releaseKey(OTHER as PublisherId, 'digits'),
    ]) {
      await expect(createValidator()(key, bytes)).rejects.toThrow('stands under the key of');
    }
  });

  it('refuses keys that are not /release/<publisher>/<name>', async () => {
    const bytes = await sign({});
    for (const text of [
      '/release/x/digits',
      `/release/${PUBLISHER}/a/b`,
      `/release/${PUBLISHER}`,
      '',
    ]) {
      await expect(createValidator()(new TextEncoder().encode(text), bytes)).rejects.toMatchObject({
        code: 'ERR_INVALID_RECORD',
      });
    }
  });

  it('remembers nothing of a record that it refuses', async () => {
    const sequences = createMemorySequenceStore();
    for (const { bytes, refused, nowMs } of releaseVectors) {
      if (refused === undefined) continue;
      const validate = createReleaseValidator({ sequences, now: () => nowMs });
      await expect(validate(KEY, bytes)).rejects.toMatchObject({ code: refused });
    }
    expect(await sequences.get(`${PUBLISHER}/digits`)).toBeUndefined();
  });
});

describe('selectRelease', () => {
  it('picks the highest sequence wherever it stands', async () => {
    const records = await Promise.all([2, 9, 4].map((sequence) => sign({ sequence })));
    expect(await selectRelease(KEY, records)).toBe(1);
    expect(await selectRelease(KEY, records.toReversed())).toBe(1);
    expect(await selectRelease(KEY, records.slice(1))).toBe(0);
  });

  it('agrees with the validator on two records of one sequence', async () => {
    const [winner, loser] = await twins();
    expect(await selectRelease(KEY, [loser, winner])).toBe(1);
    expect(await selectRelease(KEY, [winner, loser])).toBe(0);
  });

  it('passes over what does not decode', async () => {
    const good = await sign({});
    expect(await selectRelease(KEY, [new Uint8Array(3), good])).toBe(1);
  });
});

describe('compareReleases', () => {
  const release = fc.record({
    sequence: fc.integer({ min: 1, max: 3 }),
    hash: fc.uint8Array({ minLength: 2, maxLength: 2 }),
  });

  it('is a total order: antisymmetric and transitive', () => {
    fc.assert(
      fc.property(release, release, release, (a, b, c) => {
        expect(Math.sign(compareReleases(a, b)) + Math.sign(compareReleases(b, a))).toBe(0);
        if (compareReleases(a, b) > 0 && compareReleases(b, c) > 0) {
          expect(compareReleases(a, c)).toBeGreaterThan(0);
        }
      }),
    );
  });
});
