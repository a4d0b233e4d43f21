import * as dagCbor from '@ipld/dag-cbor';
import type { PrivateKey } from '@libp2p/interface';
import { z } from 'zod';
import { openEnvelope, type SignatureDomain, signEnvelope } from '../codec/signed-envelope.ts';
import { InvalidRecordError, LimitError } from '../errors.ts';
import { MAX_RECRUIT_BYTES } from '../limits.ts';
import {
  cidLink,
  MAX_PROVIDERS,
  MAX_REPLICAS,
  modelNameField,
  providerField,
  publisherField,
  toCidLink,
} from '../record-fields.ts';
import { describeSchemaIssue } from '../schema-issue.ts';
import type { NodeId, PublisherId, VersionCid } from '../types.ts';

const DOMAIN: SignatureDomain = 'gpu-swarm:recruit:1';

/**
 * "This version lacks replicas": told to all nodes, for those that do not hold it hear of its demand in no other way. It
 * gives no right: who answers it reads the publisher's release and the manifest first, then the version's own digests.
 */
export interface RecruitNotice {
  /** Who says so: the signer. */
  readonly reporter: NodeId;
  readonly publisher: PublisherId;
  readonly name: string;
  readonly cid: VersionCid;
  /** Strictly increasing per reporter: milliseconds since 1970 at issue, moved on by one when that stood still. */
  readonly sequence: number;
  /** Replicas that demand asks for. */
  readonly desired: number;
  /** Replicas that are ready or loading. */
  readonly have: number;
  /** Replicas of a node of the reporter's own speed that are still wanted, at least 1. */
  readonly deficit: number;
  /** Bytes of memory that one replica takes: a node without them need not look further. */
  readonly memoryBytes: number;
  /** Execution providers that may run it; null when any does. */
  readonly providers: readonly string[] | null;
}

const count = z.int().min(0).max(MAX_REPLICAS);

const recruitSchema = z.object({
  publisher: publisherField,
  name: modelNameField,
  cid: cidLink,
  sequence: z.int().min(1),
  desired: count,
  have: count,
  deficit: count.min(1),
  memoryBytes: z.int().min(0),
  providers: z.array(providerField).min(1).max(MAX_PROVIDERS).nullable(),
});

/**
 * Signs a notice with its reporter's key; `reporter` is the key's peer id and need not be given.
 *
 * @throws {ERR_INVALID_RECORD} when a field is out of bounds; the message names it.
 * @throws {ERR_LIMIT} when the signed notice is larger than {@link MAX_RECRUIT_BYTES}.
 */
export async function signRecruit(
  notice: Omit<RecruitNotice, 'reporter'>,
  key: PrivateKey,
): Promise<Uint8Array> {
  const { publisher, name, cid, sequence, desired, have, deficit, memoryBytes, providers } = notice;
  const wire = {
    ...{ publisher, name, sequence, desired, have, deficit, memoryBytes, providers },
    cid: toCidLink(cid),
  };
  check(wire);
  const bytes = await signEnvelope(DOMAIN, dagCbor.encode(wire), key);
  if (bytes.byteLength > MAX_RECRUIT_BYTES) {
    throw new LimitError(
      `recruit notice has ${bytes.byteLength} bytes, expected at most ${MAX_RECRUIT_BYTES}`,
    );
  }
  return bytes;
}

/**
 * Opens a signed notice: size, then form, then key, then signature, then the payload. Keys of a later program are ignored.
 *
 * @throws {ERR_LIMIT} when it is larger than {@link MAX_RECRUIT_BYTES}.
 * @throws {ERR_INVALID_RECORD} when it is malformed or its signature does not match.
 */
export async function openRecruit(bytes: Uint8Array): Promise<RecruitNotice> {
  const { signer, payload } = await openEnvelope(DOMAIN, bytes, MAX_RECRUIT_BYTES);
  let value: unknown;
  try {
    value = dagCbor.decode(payload);
  } catch (cause) {
    throw new InvalidRecordError('recruit notice has a payload that is not dag-cbor', { cause });
  }
  return { ...check(value), reporter: signer as NodeId };
}

function check(value: unknown): z.infer<typeof recruitSchema> {
  const parsed = recruitSchema.safeParse(value);
  if (!parsed.success) {
    throw new InvalidRecordError(`recruit notice ${describeSchemaIssue(parsed.error)}`);
  }
  return parsed.data;
}
