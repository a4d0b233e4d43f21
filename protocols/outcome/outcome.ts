import * as dagCbor from '@ipld/dag-cbor';
import type { PrivateKey } from '@libp2p/interface';
import { z } from 'zod';
import { openEnvelope, type SignatureDomain, signEnvelope } from '../codec/signed-envelope.ts';
import { InvalidRecordError, LimitError } from '../errors.ts';
import { MAX_OUTCOME_BYTES } from '../limits.ts';
import { cidLink, modelNameField, publisherField, toCidLink } from '../record-fields.ts';
import { describeSchemaIssue } from '../schema-issue.ts';
import type { NodeId, PublisherId, VersionCid } from '../types.ts';
import { LATENCY_BUCKETS } from './latency-histogram.ts';

const DOMAIN: SignatureDomain = 'gpu-swarm:outcome:1';

/** Versions of one digest: those that a model's guarded channels point at, and those they are measured against. */
export const MAX_OUTCOME_VERSIONS = 4;

/** Milliseconds that a digest may count over: the longest window of a guard. */
export const MAX_OUTCOME_WINDOW_MS = 86_400_000;

/** How requests to one version ended, as one reporter saw it. What the caller or the node was at fault for is not counted. */
export interface VersionOutcome {
  readonly cid: VersionCid;
  /** Failures while the model ran, `ERR_EXECUTION`. */
  readonly execution: number;
  /** Requests given up at their deadline after at least a second on a node. */
  readonly timeout: number;
  /** Answered requests by latency, see {@link latencyBucket}; empty buckets at the end are left out. */
  readonly latencies: readonly number[];
}

/** What one client or node saw of a model's versions lately. */
export interface OutcomeDigest {
  /** Who counted: the signer. */
  readonly reporter: NodeId;
  readonly publisher: PublisherId;
  readonly name: string;
  /** Sequence of the release record in force while it counted; evidence of one release never counts for another. */
  readonly release: number;
  /** Strictly increasing per reporter: milliseconds since 1970 at issue, moved on by one when that stood still. */
  readonly sequence: number;
  /** Milliseconds since 1970 by the reporter's clock. */
  readonly issuedAtMs: number;
  /** Milliseconds that the counts span at most. */
  readonly windowMs: number;
  readonly versions: readonly VersionOutcome[];
}

const count = z.int().min(0).max(0xffff_ffff);
const time = z.int().min(0);

const outcomeSchema = z.object({
  publisher: publisherField,
  name: modelNameField,
  release: z.int().min(1),
  sequence: z.int().min(1),
  issuedAtMs: time,
  windowMs: z.int().min(1).max(MAX_OUTCOME_WINDOW_MS),
  versions: z
    .array(
      z.object({
        cid: cidLink,
        execution: count,
        timeout: count,
        latencies: z.array(count).max(LATENCY_BUCKETS),
      }),
    )
    .max(MAX_OUTCOME_VERSIONS)
    .refine((versions) => new Set(versions.map(({ cid }) => cid)).size === versions.length, {
      message: 'expected each version once',
    }),
});

/** Requests of a version that were answered. */
export function answeredCount({ latencies }: Pick<VersionOutcome, 'latencies'>): number {
  return latencies.reduce((sum, bucket) => sum + bucket, 0);
}

/** Requests of a version that failed by its fault. */
export function failedCount(outcome: Pick<VersionOutcome, 'execution' | 'timeout'>): number {
  return outcome.execution + outcome.timeout;
}

/**
 * Signs a digest with its reporter's key; `reporter` is the key's peer id and need not be given.
 *
 * @throws {ERR_INVALID_RECORD} when a field is out of bounds; the message names it.
 * @throws {ERR_LIMIT} when the signed digest is larger than {@link MAX_OUTCOME_BYTES}.
 */
export async function signOutcome(
  digest: Omit<OutcomeDigest, 'reporter'>,
  key: PrivateKey,
): Promise<Uint8Array> {
  const { publisher, name, release, sequence, issuedAtMs, windowMs } = digest;
  const wire = {
    ...{ publisher, name, release, sequence, issuedAtMs, windowMs },
    versions: digest.versions.map(({ cid, execution, timeout, latencies }) => ({
      ...{ execution, timeout },
      cid: toCidLink(cid),
      latencies: trimmed(latencies),
    })),
  };
  check(wire);
  const bytes = await signEnvelope(DOMAIN, dagCbor.encode(wire), key);
  if (bytes.byteLength > MAX_OUTCOME_BYTES) {
    throw new LimitError(
      `outcome digest has ${bytes.byteLength} bytes, expected at most ${MAX_OUTCOME_BYTES}`,
    );
  }
  return bytes;
}

/**
 * Opens a signed digest: size, then form, then key, then signature, then the payload. Keys of a later program are ignored.
 *
 * @throws {ERR_LIMIT} when it is larger than {@link MAX_OUTCOME_BYTES}.
 * @throws {ERR_INVALID_RECORD} when it is malformed or its signature does not match.
 */
export async function openOutcome(bytes: Uint8Array): Promise<OutcomeDigest> {
  const { signer, payload } = await openEnvelope(DOMAIN, bytes, MAX_OUTCOME_BYTES);
  let value: unknown;
  try {
    value = dagCbor.decode(payload);
  } catch (cause) {
    throw new InvalidRecordError('outcome digest has a payload that is not dag-cbor', { cause });
  }
  return { ...check(value), reporter: signer as NodeId };
}

function check(value: unknown): z.infer<typeof outcomeSchema> {
  const parsed = outcomeSchema.safeParse(value);
  if (!parsed.success) {
    throw new InvalidRecordError(`outcome digest ${describeSchemaIssue(parsed.error)}`);
  }
  return parsed.data;
}

function trimmed(latencies: readonly number[]): readonly number[] {
  const last = latencies.findLastIndex((bucket) => bucket > 0);
  return latencies.slice(0, last + 1);
}
