import { z } from 'zod';

/** Pixels along one side. */
const MAX_SIDE = 8192;

/**
 * How a picture becomes the input tensor: decode, convert to 8-bit `channels`, resize, then per value
 * `(value × scale − mean) / std`, laid out as `layout` with a batch of one.
 */
export interface ImagePreprocessing {
  readonly kind: 'image';
  /** Name of the input tensor. */
  readonly input: string;
  readonly width: number;
  readonly height: number;
  readonly channels: 'gray' | 'rgb';
  readonly layout: 'NCHW' | 'NHWC';
  /** `fill` stretches, `cover` crops, `contain` pads with black. @default 'fill' */
  readonly resize?: 'fill' | 'cover' | 'contain' | undefined;
  /** @default 'linear' */
  readonly kernel?: 'nearest' | 'linear' | 'cubic' | 'lanczos3' | undefined;
  /** @default 1 / 255 */
  readonly scale?: number | undefined;
  /** One value for all channels, or one for each. @default [0] */
  readonly mean?: readonly number[] | undefined;
  /** One value for all channels, or one for each; not zero. @default [1] */
  readonly std?: readonly number[] | undefined;
  /** Dark on light becomes light on dark, before anything else is computed. @default false */
  readonly invert?: boolean | undefined;
}

/** Kinds come to be added; a client refuses one it does not know. */
export type Preprocessing = ImagePreprocessing;

const shape = {
  kind: z.literal('image'),
  input: z.string().min(1).max(1024),
  width: z.int().min(1).max(MAX_SIDE),
  height: z.int().min(1).max(MAX_SIDE),
  channels: z.enum(['gray', 'rgb']),
  layout: z.enum(['NCHW', 'NHWC']),
  resize: z.enum(['fill', 'cover', 'contain']).optional(),
  kernel: z.enum(['nearest', 'linear', 'cubic', 'lanczos3']).optional(),
  scale: z.number().optional(),
  mean: z.array(z.number()).min(1).max(3).optional(),
  std: z
    .array(z.number().refine((value) => value !== 0, { message: 'expected a number other than 0' }))
    .min(1)
    .max(3)
    .optional(),
  invert: z.boolean().optional(),
};

/** As a manifest has it: keys of a later program are ignored. */
export const preprocessingSchema = z.object(shape);

/** As a package file has it: an unknown key is an error. */
export const strictPreprocessingSchema = z.strictObject(shape);

export type ResolvedImagePreprocessing = {
  readonly [Key in keyof ImagePreprocessing]-?: Exclude<ImagePreprocessing[Key], undefined>;
};

/** Fills the defaults in. */
export function resolvePreprocessing(preprocessing: Preprocessing): ResolvedImagePreprocessing {
  return {
    ...preprocessing,
    resize: preprocessing.resize ?? 'fill',
    kernel: preprocessing.kernel ?? 'linear',
    scale: preprocessing.scale ?? 1 / 255,
    mean: preprocessing.mean ?? [0],
    std: preprocessing.std ?? [1],
    invert: preprocessing.invert ?? false,
  };
}
