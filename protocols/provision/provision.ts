import * as dagCbor from '@ipld/dag-cbor';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { z } from 'zod';
import { openEnvelope, type SignatureDomain, signEnvelope } from '../codec/signed-envelope.ts';
import { DIGEST_BYTES, sameBytes } from '../digest.ts';
import { InvalidRecordError, LimitError } from '../errors.ts';
import { MAX_PROVISION_BYTES } from '../limits.ts';
import { describeSchemaIssue } from '../schema-issue.ts';
import type { NodeId } from '../types.ts';
import { type HookKey, isTagOf, tagOf } from './hook-key.ts';

const DOMAIN: SignatureDomain = 'gpu-swarm:provision:1';

/** "I could tell our hook how many nodes there are to be": by these those with one hook agree on who does. */
export interface ProvisionHeartbeat {
  /** Who says so: the signer. */
  readonly reporter: NodeId;
  /** Strictly increasing per reporter: milliseconds since 1970 at issue, moved on by one when that stood still. */
  readonly sequence: number;
  /** Names the hook without saying it: 32 bytes. */
  readonly group: Uint8Array;
  /** True when the reporter ends, and the next is to take over at once. */
  readonly leaving: boolean;
  /** Shows whoever knows the hook that the reporter knows it too: 32 bytes. */
  readonly tag: Uint8Array;
}

const digest = z.instanceof(Uint8Array).refine((bytes) => bytes.byteLength === DIGEST_BYTES, {
  message: `expected ${DIGEST_BYTES} bytes`,
});

const provisionSchema = z.object({
  sequence: z.int().min(1),
  group: digest,
  leaving: z.boolean(),
  tag: digest,
});

/**
 * Tags a heartbeat with the key of a hook and signs it with its reporter's.
 *
 * @throws {ERR_INVALID_RECORD} when a field is out of bounds; the message names it.
 * @throws {ERR_LIMIT} when the signed heartbeat is larger than {@link MAX_PROVISION_BYTES}.
 */
export async function signProvision(
  { sequence, leaving }: Pick<ProvisionHeartbeat, 'sequence' | 'leaving'>,
  { group, secret }: HookKey,
  key: PrivateKey,
): Promise<Uint8Array> {
  const reporter = peerIdFromPrivateKey(key).toString();
  const wire = { sequence, group, leaving, tag: tagOf(secret, { reporter, sequence, leaving }) };
  check(wire);
  const bytes = await signEnvelope(DOMAIN, dagCbor.encode(wire), key);
  if (bytes.byteLength > MAX_PROVISION_BYTES) {
    throw new LimitError(
      `provision heartbeat has ${bytes.byteLength} bytes, expected at most ${MAX_PROVISION_BYTES}`,
    );
  }
  return bytes;
}

/**
 * Opens a signed heartbeat: size, then form, then key, then signature, then the payload. Its tag is checked by {@link isOfHook},
 * for most who pass it on do not know the hook. Keys of a later program are ignored.
 *
 * @throws {ERR_LIMIT} when it is larger than {@link MAX_PROVISION_BYTES}.
 * @throws {ERR_INVALID_RECORD} when it is malformed or its signature does not match.
 */
export async function openProvision(bytes: Uint8Array): Promise<ProvisionHeartbeat> {
  const { signer, payload } = await openEnvelope(DOMAIN, bytes, MAX_PROVISION_BYTES);
  let value: unknown;
  try {
    value = dagCbor.decode(payload);
  } catch (cause) {
    throw new InvalidRecordError('provision heartbeat has a payload that is not dag-cbor', {
      cause,
    });
  }
  return { ...check(value), reporter: signer as NodeId };
}

/** True when a heartbeat names this hook, whoever made it. */
export function namesHook({ group }: ProvisionHeartbeat, key: HookKey): boolean {
  return sameBytes(group, key.group);
}

/** True when it was made by somebody who knows this hook. */
export function isOfHook(heartbeat: ProvisionHeartbeat, key: HookKey): boolean {
  return namesHook(heartbeat, key) && isTagOf(key.secret, heartbeat);
}

function check(value: unknown): z.infer<typeof provisionSchema> {
  const parsed = provisionSchema.safeParse(value);
  if (!parsed.success) {
    throw new InvalidRecordError(`provision heartbeat ${describeSchemaIssue(parsed.error)}`);
  }
  return parsed.data;
}
