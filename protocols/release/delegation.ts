import * as dagCbor from '@ipld/dag-cbor';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { z } from 'zod';
import { openEnvelope, type SignatureDomain, signEnvelope } from '../codec/signed-envelope.ts';
import { InvalidRecordError } from '../errors.ts';
import { modelNameField, publisherField } from '../record-fields.ts';
import { describeSchemaIssue } from '../schema-issue.ts';
import type { PublisherId } from '../types.ts';

const DOMAIN: SignatureDomain = 'gpu-swarm:delegation:1';

/** Bytes of a signed certificate; one has some 320. */
export const MAX_DELEGATION_BYTES = 1024;

/** Moves that one certificate allows at most: what a publisher that lost its list of certificates must step over to end all of them. */
export const MAX_DELEGATED_MOVES = 10_000;

/** The year 9999, as in the record. */
const MAX_TIME_MS = 253_402_300_799_999;

/**
 * "This key may move the channels of this model": a publisher's word that travels inside each record the delegate signs.
 *
 * It is good for sequences up to `untilSequence`. So a publisher ends it by a record of its own with a higher sequence, and
 * whoever has seen that record refuses the delegate's by the rule that refuses any older record.
 */
export interface Delegation {
  readonly publisher: PublisherId;
  readonly name: string;
  /** Peer id of the key that may sign. */
  readonly delegate: PublisherId;
  /** The highest sequence that the delegate may give. */
  readonly untilSequence: number;
  /** No record of the delegate may be good for longer. Milliseconds since 1970 by the publisher's clock. */
  readonly expiresAtMs: number;
}

const delegationSchema = z.object({
  name: modelNameField,
  delegate: publisherField,
  untilSequence: z.int().min(1),
  expiresAtMs: z.int().min(0).max(MAX_TIME_MS),
});

/**
 * Signs a certificate with the publisher's key; the publisher is whose key it is.
 *
 * @throws {ERR_INVALID_RECORD} when a field is out of bounds, or the key is to delegate to itself.
 */
export async function signDelegation(
  delegation: Omit<Delegation, 'publisher'>,
  key: PrivateKey,
): Promise<Uint8Array> {
  const checked = check(delegation);
  if (checked.delegate === peerIdFromPrivateKey(key).toString()) {
    throw new InvalidRecordError(
      `delegation names ${checked.delegate} itself, expected another key than the publisher's`,
    );
  }
  return signEnvelope(DOMAIN, dagCbor.encode(checked), key);
}

/**
 * Opens a certificate: size, form, key, signature, payload. Whether it is still good, the record that carries it shows.
 *
 * @throws {ERR_LIMIT | ERR_INVALID_RECORD} when it is malformed or its signature does not match.
 */
export async function openDelegation(bytes: Uint8Array): Promise<Delegation> {
  const { signer, payload } = await openEnvelope(DOMAIN, bytes, MAX_DELEGATION_BYTES);
  let value: unknown;
  try {
    value = dagCbor.decode(payload);
  } catch (cause) {
    throw new InvalidRecordError('delegation has a payload that is not dag-cbor', { cause });
  }
  return { publisher: signer as PublisherId, ...check(value) };
}

function check(value: unknown): Omit<Delegation, 'publisher'> {
  const parsed = delegationSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new InvalidRecordError(`delegation ${describeSchemaIssue(parsed.error)}`);
}
