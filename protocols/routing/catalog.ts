import { z } from 'zod';
import { MAX_RELEASE_BYTES } from '../limits.ts';
import { parseVersionCid } from '../reference.ts';
import type { VersionCid } from '../types.ts';

/** Models in one answer: a bounded sample; a narrower query finds the others. */
export const MAX_CATALOG_ENTRIES = 32;

/** Bytes of what one entry tells of a model besides its record. */
export const MAX_CATALOG_METADATA_BYTES = 4096;

/** UTF-16 units of a description in an entry: the beginning of the manifest's. */
export const MAX_CATALOG_DESCRIPTION = 512;

/** Labels that one query may ask for. */
export const MAX_CATALOG_LABELS = 4;

/** Bytes of an answer. */
export const MAX_CATALOG_BYTES =
  MAX_CATALOG_ENTRIES * (MAX_RELEASE_BYTES + MAX_CATALOG_METADATA_BYTES + 256) + 1024;

/** Which models a peer is asked for: those that match all of what is given. */
export interface CatalogQuery {
  readonly kind: 'catalog';
  /** Words, each found somewhere in the name, task, description, licence or labels; '' for any. */
  readonly text: string;
  readonly task?: string | undefined;
  readonly publisher?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** What an entry copies of a manifest; the manifest itself says whether it is true. */
export interface CatalogMetadata {
  readonly task?: string | undefined;
  readonly description?: string | undefined;
  readonly licence?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** A model that the answering peer knows. The record is signed, and the CID is the manifest's: neither needs trust. */
export interface CatalogEntry {
  /** The signed release record, which names the publisher and the model. */
  readonly release: Uint8Array;
  /** The version that the metadata is of: one that a channel of the record points at. */
  readonly cid: VersionCid;
  /** Null from a peer that does not hold the version. */
  readonly metadata: CatalogMetadata | null;
}

export interface CatalogAnswer {
  readonly entries: readonly CatalogEntry[];
  /** Models that matched and did not fit. */
  readonly omitted: number;
}

const labels = z.record(z.string().max(64), z.string().max(256));

export const catalogQuerySchema = z.object({
  kind: z.literal('catalog'),
  text: z.string().max(128),
  task: z.string().max(64).optional(),
  publisher: z.string().max(128).optional(),
  labels: labels
    .refine((asked) => Object.keys(asked).length <= MAX_CATALOG_LABELS, {
      message: `expected at most ${MAX_CATALOG_LABELS} labels`,
    })
    .optional(),
});

export const catalogAnswerSchema = z.object({
  entries: z
    .array(
      z.object({
        release: z.instanceof(Uint8Array),
        cid: z
          .string()
          .max(128)
          .refine((text) => parseVersionCid(text) !== undefined, { message: 'expected a CID' })
          .transform((text) => text as VersionCid),
        metadata: z
          .object({
            task: z.string().max(64).optional(),
            description: z.string().max(MAX_CATALOG_DESCRIPTION).optional(),
            licence: z.string().max(256).optional(),
            labels: labels.optional(),
          })
          .nullable(),
      }),
    )
    .max(MAX_CATALOG_ENTRIES),
  omitted: z.int().min(0),
});
