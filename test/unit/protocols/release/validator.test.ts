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
import {
  CID_A,
  CID_B,
  delegatedRecord,
  firstRecord,
  NOW_MS,
  OTHER,
  otherKey,
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
    for (const key of [releaseKey(PUBLISHER, 'letters'), releaseKey(OTHER, 'digits')]) {
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

/** The next number of a series that is the same in every run. */
function createSeries(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

describe('createReleaseValidator and selectRelease, on many peers', () => {
  it('agree on one winner when two publishers race and records arrive in any order, some twice', async () => {
    const records = await Promise.all(
      [1, 2, 3].flatMap((sequence) =>
        [CID_A, CID_B].map((cid) => sign({ sequence, channels: { stable: { cid } } })),
      ),
    );
    const winner = records[await selectRelease(KEY, records)];
    for (let seed = 1; seed <= 20; seed += 1) {
      const draw = createSeries(seed);
      const validate = createValidator();
      let held: Uint8Array | undefined;
      const arrivals = [...records, ...Array.from({ length: 12 }, () => records[draw(6)])];
      while (arrivals.length > 0) {
        const [bytes] = arrivals.splice(draw(arrivals.length), 1);
        if (bytes === undefined) continue;
        await validate(KEY, bytes).then(
          () => (held = bytes),
          () => undefined,
        );
      }
      expect(held).toEqual(winner);
      expect(records.toReversed()[await selectRelease(KEY, records.toReversed())]).toEqual(winner);
    }
  });

  it('agree although their clocks are an hour apart, either way', async () => {
    const [winner, loser] = await twins();
    for (const skewMs of [-3_600_000, 0, 3_600_000]) {
      const validate = createReleaseValidator({
        sequences: createMemorySequenceStore(),
        now: () => NOW_MS + skewMs,
      });
      await validate(KEY, loser);
      await validate(KEY, winner);
      await expect(validate(KEY, loser)).rejects.toThrow('lower hash was seen');
    }
  });

  it('let the higher sequence win when a partition heals, whichever side is asked', async () => {
    const [left, right] = [createMemorySequenceStore(), createMemorySequenceStore()];
    const third = await sign({ sequence: 3 });
    const fourth = await sign({ sequence: 4 });
    await createValidator(left)(KEY, third);
    await createValidator(right)(KEY, fourth);
    await createValidator(left)(KEY, fourth);
    await expect(createValidator(right)(KEY, third)).rejects.toThrow('has sequence 3, but 4');
    expect((await left.get(`${PUBLISHER}/digits`))?.sequence).toBe(4);
    expect((await right.get(`${PUBLISHER}/digits`))?.sequence).toBe(4);
  });

  it('refuse a delegate once the publisher has stepped over its certificate, whatever it signs', async () => {
    const byDelegate = (sequence: number) =>
      signRelease({ ...delegatedRecord, sequence }, otherKey);
    const validate = createValidator();
    await validate(KEY, await byDelegate(2));
    const revoked = await sign({ sequence: 11 });
    const last = await byDelegate(10);
    await validate(KEY, revoked);
    await expect(validate(KEY, last)).rejects.toThrow('has sequence 10, but 11 was seen');
    await expect(byDelegate(12)).rejects.toThrow('certificate ends at sequence 10');
    // A peer that meets both for the first time comes to the same.
    expect(await selectRelease(KEY, [last, revoked])).toBe(1);
    const newcomer = createValidator();
    await newcomer(KEY, last);
    await newcomer(KEY, revoked);
    await expect(newcomer(KEY, last)).rejects.toThrow('but 11 was seen');
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
