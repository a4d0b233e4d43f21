import { describe, expect, it } from 'vitest';
import { toleranceSchema } from '../../../../protocols/manifest/golden.ts';
import {
  DEFAULT_TOLERANCE,
  encodeManifest,
  MAX_GOLDEN_BYTES,
  strictGoldenSchema,
  strictToleranceSchema,
} from '../../../../protocols/manifest/index.ts';
import { present } from '../../../support/present.ts';
import { refusal } from '../../../support/refusal.ts';
import { smallManifest } from '../../../vectors/manifest.ts';

const file = present(smallManifest.files[0]);

function encodeWith(goldenBytes: number) {
  const golden = { ...file, path: 'golden.json', size: goldenBytes };
  return encodeManifest({
    ...smallManifest,
    files: [file, golden],
    golden: { file: 'golden.json' },
  });
}

describe('MAX_GOLDEN_BYTES', () => {
  it('bounds the file of golden vectors that a manifest names', () => {
    expect(MAX_GOLDEN_BYTES).toBe(16_777_216);
    expect(encodeWith(MAX_GOLDEN_BYTES).cid).toEqual(expect.any(String));
    expect(() => encodeWith(MAX_GOLDEN_BYTES + 1)).toThrow(
      refusal(
        'ERR_INVALID_RECORD',
        'manifest field golden.file: has 16777217 bytes, expected at most 16777216',
      ),
    );
  });
});

describe('strictToleranceSchema', () => {
  it('takes two numbers from 0 to a million', () => {
    expect(DEFAULT_TOLERANCE).toEqual({ absolute: 1e-3, relative: 1e-2 });
    for (const good of [DEFAULT_TOLERANCE, { absolute: 0, relative: 1e6 }]) {
      expect(strictToleranceSchema.parse(good)).toEqual(good);
    }
    for (const bad of [
      { absolute: 1 },
      { absolute: -1, relative: 0 },
      { absolute: 0, relative: 1e6 + 1 },
      { absolute: Number.NaN, relative: 0 },
    ]) {
      expect(strictToleranceSchema.safeParse(bad).success).toBe(false);
      expect(toleranceSchema.safeParse(bad).success).toBe(false);
    }
  });

  it('refuses a key that the manifest’s schema passes over', () => {
    const later = { absolute: 0, relative: 0, ulps: 4 };
    expect(strictToleranceSchema.safeParse(later).success).toBe(false);
    expect(toleranceSchema.parse(later)).toEqual({ absolute: 0, relative: 0 });
  });
});

describe('strictGoldenSchema', () => {
  it('takes a plain file name alone', () => {
    expect(strictGoldenSchema.safeParse({ file: 'golden.json' }).success).toBe(true);
    expect(strictGoldenSchema.safeParse({ file: '../golden.json' }).success).toBe(false);
    expect(strictGoldenSchema.safeParse({ file: 'golden.json', cases: 1 }).success).toBe(false);
  });
});
