import { z } from 'zod';
import { fileNameSchema } from './file-name.ts';

const MAX_LABELS = 64;

/** What a model is, for people and for search. Nothing here changes how it runs. */
export interface ModelMetadata {
  /** What it does, in a word others use too: `image-classification`, `text-classification`, `recommendation`, … */
  readonly task?: string | undefined;
  /** One paragraph. */
  readonly description?: string | undefined;
  /** SPDX identifier or a name. */
  readonly licence?: string | undefined;
  /** Where it comes from. */
  readonly source?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** The file of the version that says more, such as `README.md`. */
  readonly modelCard?: string | undefined;
}

/** The fields as the package file and the manifest both have them. Lengths are in UTF-16 units. */
export const metadataShape = {
  task: z
    .string()
    .min(1)
    .max(64)
    .describe('What it does, such as image-classification.')
    .optional(),
  description: z.string().max(8192).describe('One paragraph.').optional(),
  licence: z.string().min(1).max(256).describe('SPDX identifier or a name.').optional(),
  source: z.string().max(2048).describe('Where it comes from.').optional(),
  labels: z
    .record(z.string().min(1).max(64), z.string().max(256))
    .refine((labels) => Object.keys(labels).length <= MAX_LABELS, {
      message: `expected at most ${MAX_LABELS} labels`,
    })
    .describe('Free labels, for search.')
    .optional(),
  modelCard: fileNameSchema
    .describe('File of the package that says more, such as README.md.')
    .optional(),
};
