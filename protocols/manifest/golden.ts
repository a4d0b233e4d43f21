import { z } from 'zod';
import { fileNameSchema } from './file-name.ts';

/** Bytes of a file of golden vectors. */
export const MAX_GOLDEN_BYTES = 16 * 1024 * 1024;

/** What a file of golden vectors is called when nothing names one. */
export const GOLDEN_FILE_NAME = 'golden.json';

/** How far two right answers may be from each other: `|found − expected| ≤ absolute + relative × |expected|`. */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
}

/**
 * Floats agree this far on all hardware that is in order: GPUs multiply with 10 bits of mantissa (TF32), and FP16 has no more.
 * What is not a float must be equal.
 */
export const DEFAULT_TOLERANCE: Tolerance = { absolute: 1e-3, relative: 1e-2 };

/** Which file of the version holds its golden vectors. */
export interface GoldenReference {
  readonly file: string;
}

const bound = z.number().min(0).max(1e6);

const toleranceShape = {
  absolute: bound.describe('Largest difference, besides the relative one.'),
  relative: bound.describe('Largest difference as a share of the expected number.'),
};

/** As a manifest has it: keys of a later program are ignored. */
export const toleranceSchema = z.object(toleranceShape);

/** As files that people write have it: an unknown key is an error. */
export const strictToleranceSchema = z.strictObject(toleranceShape);

const goldenShape = { file: fileNameSchema.describe('File of the package that holds them.') };

/** As a manifest has it: keys of a later program are ignored. */
export const goldenSchema = z.object(goldenShape);

/** As a package file has it: an unknown key is an error. */
export const strictGoldenSchema = z.strictObject(goldenShape);
