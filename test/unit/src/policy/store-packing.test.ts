import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { VersionCid } from '../../../../protocols/types.ts';
import {
  isWorthPacking,
  MIN_SAVED_BYTES,
  type PackableFile,
  type PackingCandidate,
  planPacking,
} from '../../../../src/policy/store-packing.ts';

const MIB = 1024 ** 2;

/** A file of chunks of 1 MiB, one for each letter. */
function file(letters: string, path = 'model.onnx'): PackableFile {
  const chunks = Array.from(letters, (key) => ({ key, size: MIB }));
  return { path, size: chunks.length * MIB, chunks };
}

function candidate(
  name: string,
  letters: string,
  change: Partial<PackingCandidate> = {},
): PackingCandidate {
  return {
    cid: name as VersionCid,
    files: [file(letters)],
    idle: true,
    packed: false,
    lastUsedMs: 0,
    ...change,
  };
}

const bases = (candidates: readonly PackingCandidate[]): Record<string, string> =>
  Object.fromEntries(
    planPacking(candidates).versions.map(({ cid, files }) => [cid, String(files[0]?.base.cid)]),
  );

describe('planPacking', () => {
  it('bases an idle version on the one in use that has most of it, and counts what it has alone', () => {
    const used = { idle: false };
    const plan = planPacking([
      candidate('old', 'abcdefgh'),
      candidate('far', 'abcdwxyz', used),
      candidate('near', 'abcdefgz', used),
    ]);
    expect(plan.versions).toEqual([
      {
        cid: 'old',
        files: [{ path: 'model.onnx', base: { cid: 'near', path: 'model.onnx' }, ownBytes: MIB }],
      },
    ]);
    expect(new Set(plan.whole)).toEqual(new Set(['far', 'near']));
  });

  it('never packs what is in use', () => {
    const used = { idle: false };
    expect(bases([candidate('a', 'abcd', used), candidate('b', 'abcd', used)])).toEqual({});
  });

  it('keeps the last used of versions that nobody uses whole, as the base of the others', () => {
    const plan = [1, 3, 2].map((lastUsedMs) =>
      candidate(`v${lastUsedMs}`, `abcdefg${lastUsedMs}`, { lastUsedMs }),
    );
    expect(bases(plan)).toEqual({ v1: 'v3', v2: 'v3' });
  });

  it('moves packed versions to a whole base before the version that is their base now is packed', () => {
    const plan = planPacking([
      candidate('v2', 'abcdef2h', { lastUsedMs: 2 }),
      candidate('v3', 'abcdef3h', { idle: false }),
      candidate('v1', 'abcdef1h', { packed: true, lastUsedMs: 1 }),
    ]);
    expect(plan.versions.map(({ cid, files }) => [cid, files[0]?.base.cid])).toEqual([
      ['v1', 'v3'],
      ['v2', 'v3'],
    ]);
  });

  it('bases nothing on a packed version', () => {
    expect(
      bases([candidate('a', 'abcd', { packed: true, lastUsedMs: 9 }), candidate('b', 'abcd')]),
    ).toEqual({ a: 'b' });
  });

  it('leaves a file alone of which less than a quarter is elsewhere', () => {
    const used = candidate('n', 'abc', { idle: false });
    expect(bases([used, candidate('v', 'abcdefghijkl')])).toEqual({ v: 'n' });
    expect(bases([used, candidate('v', 'abcdefghijklm')])).toEqual({});
  });

  it('isWorthPacking wants a MiB, and one byte less is not enough', () => {
    expect(isWorthPacking(MIN_SAVED_BYTES, MIN_SAVED_BYTES)).toBe(true);
    expect(isWorthPacking(MIN_SAVED_BYTES - 1, MIN_SAVED_BYTES)).toBe(false);
  });

  it('plans for every version one of three: in use or whole, packed on one that stays whole, or left packed', () => {
    const arbitrary = fc.uniqueArray(
      fc.record({
        name: fc.string({ minLength: 1, maxLength: 3 }),
        letters: fc.stringMatching(/^[a-h]{1,8}$/),
        idle: fc.boolean(),
        packed: fc.boolean(),
        lastUsedMs: fc.nat(5),
      }),
      { selector: ({ name }) => name, maxLength: 8 },
    );
    fc.assert(
      fc.property(arbitrary, (drawn) => {
        const candidates = drawn.map(({ name, letters, ...rest }) =>
          candidate(name, letters, rest),
        );
        const { versions, whole } = planPacking(candidates);
        for (const { cid, files } of versions) {
          expect(candidates.find((one) => one.cid === cid)?.idle).toBe(true);
          for (const { base } of files) expect(whole).toContain(base.cid);
        }
        const planned = versions.map(({ cid }) => cid);
        const rest = candidates.filter(({ cid, packed }) => packed && !planned.includes(cid));
        expect(planned.length + whole.length + rest.length).toBe(candidates.length);
      }),
    );
  });
});
