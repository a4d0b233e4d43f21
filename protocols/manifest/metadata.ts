import { z } from 'zod';

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
}

/** The fields as the package file and the manifest both have them. Lengths are in UTF-16 units. */
export const metadataShape = {
  task: z.string().min(1).max(64).optional(),
  description: z.string().max(8192).optional(),
  licence: z.string().min(1).max(256).optional(),
  source: z.string().max(2048).optional(),
  labels: z
    .record(z.string().min(1).max(64), z.string().max(256))
    .refine((labels) => Object.keys(labels).length <= MAX_LABELS, {
      message: `expected at most ${MAX_LABELS} labels`,
    })
    .optional(),
};
