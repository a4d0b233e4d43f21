import { describe, expect, it } from 'vitest';
import {
  type Preprocessing,
  resolvePreprocessing,
  strictPreprocessingSchema,
} from '../../../../protocols/manifest/index.ts';
import { preprocessingSchema } from '../../../../protocols/manifest/preprocessing.ts';

const IMAGE: Preprocessing = {
  kind: 'image',
  input: 'x',
  width: 8,
  height: 8192,
  channels: 'rgb',
  layout: 'NHWC',
};

describe('resolvePreprocessing', () => {
  it('fills the defaults in', () => {
    expect(resolvePreprocessing(IMAGE)).toEqual({
      ...IMAGE,
      resize: 'fill',
      kernel: 'linear',
      scale: 1 / 255,
      mean: [0],
      std: [1],
      invert: false,
    });
  });

  it('keeps what is said', () => {
    const said = {
      ...IMAGE,
      resize: 'cover',
      kernel: 'cubic',
      scale: 2,
      mean: [1, 2, 3],
      std: [4],
      invert: true,
    } as const;
    expect(resolvePreprocessing(said)).toEqual(said);
  });
});

describe('strictPreprocessingSchema', () => {
  it('refuses a key that the manifest’s schema passes over', () => {
    const later = { ...IMAGE, colour: 'sRGB' };
    expect(strictPreprocessingSchema.safeParse(later).success).toBe(false);
    expect(preprocessingSchema.parse(later)).toEqual(IMAGE);
  });

  it.each([
    { width: 0 },
    { height: 8193 },
    { width: 1.5 },
    { channels: 'cmyk' },
    { layout: 'HWC' },
    { std: [0] },
    { std: [] },
    { mean: [1, 2, 3, 4] },
    { scale: Number.NaN },
    { input: '' },
  ])('refuses %j', (changes) => {
    expect(strictPreprocessingSchema.safeParse(IMAGE).success).toBe(true);
    expect(strictPreprocessingSchema.safeParse({ ...IMAGE, ...changes }).success).toBe(false);
  });
});
