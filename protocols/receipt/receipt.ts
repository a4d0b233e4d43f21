import * as dagCbor from '@ipld/dag-cbor';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { z } from 'zod';
import {
  createEnvelopeSigner,
  openEnvelope,
  type SignatureDomain,
} from '../codec/signed-envelope.ts';
import { DIGEST_BYTES, digestText, sameBytes } from '../digest.ts';
import { InvalidRecordError } from '../errors.ts';
import { MAX_RECEIPT_BYTES } from '../limits.ts';
import { parseVersionCid } from '../reference.ts';
import { describeSchemaIssue } from '../schema-issue.ts';
import type { NamedTensor } from '../tensor.ts';
import type { NodeId, VersionCid } from '../types.ts';
import { digestTensors } from './tensor-digest.ts';

const DOMAIN: SignatureDomain = 'gpu-swarm:receipt:1';

/** Bytes by which a caller knows its request again; they also make each receipt another one. */
export const RECEIPT_NONCE_BYTES = 16;

/** UTF-16 units of an execution provider's name. */
const MAX_PROVIDER_LENGTH = 32;

/** The last millisecond that a `Date` holds. */
const MAX_TIME_MS = 8_640_000_000_000_000;

/** What a node says, signed, of one answer it gave. */
export interface Receipt {
  /** Who answered: the signer. */
  readonly node: NodeId;
  /** Peer id of whom it answered, as the connection proved it. */
  readonly caller: string;
  /** Chosen by the caller for this request alone, {@link RECEIPT_NONCE_BYTES} long. */
  readonly nonce: Uint8Array;
  readonly version: VersionCid;
  /** sha256 of the request's tensors, see {@link digestTensors}. */
  readonly inputs: Uint8Array;
  /** sha256 of the answer's tensors. */
  readonly outputs: Uint8Array;
  /** Milliseconds since 1970 by the node's clock: when the header was here, and when the answer was ready. */
  readonly receivedAtMs: number;
  readonly answeredAtMs: number;
  /** Milliseconds inside the model. */
  readonly executeMs: number;
  /** Execution provider that the node says it ran on, such as `cpu` or `cuda`. */
  readonly provider: string;
}

/** A receipt as it was signed and as it reads. */
export interface SignedReceipt {
  readonly bytes: Uint8Array;
  readonly receipt: Receipt;
}

/** What somebody knows of a call, to be compared with its receipt; what is absent is not compared. */
export interface ReceiptClaim {
  readonly node?: NodeId | undefined;
  readonly caller?: string | undefined;
  readonly nonce?: Uint8Array | undefined;
  readonly version?: VersionCid | undefined;
  readonly inputs?: readonly NamedTensor[] | undefined;
  readonly outputs?: readonly NamedTensor[] | undefined;
}

const digest = z.instanceof(Uint8Array).refine(({ byteLength }) => byteLength === DIGEST_BYTES, {
  message: `expected ${DIGEST_BYTES} bytes`,
});
const time = z.int().min(0).max(MAX_TIME_MS);

const receiptSchema = z.object({
  caller: z.string().min(1).max(128),
  nonce: z.instanceof(Uint8Array).refine(({ byteLength }) => byteLength === RECEIPT_NONCE_BYTES, {
    message: `expected ${RECEIPT_NONCE_BYTES} bytes`,
  }),
  version: z
    .string()
    .max(128)
    .refine((text) => parseVersionCid(text) === text, { message: 'expected the CID of a version' }),
  inputs: digest,
  outputs: digest,
  receivedAtMs: time,
  answeredAtMs: time,
  executeMs: z.number().min(0),
  provider: z.string().max(MAX_PROVIDER_LENGTH),
});

/**
 * Makes what signs a node's receipts. It takes what it is given as it is: it runs for every answer that wants a receipt, and
 * whoever opens one checks it.
 */
export function createReceiptSigner(
  key: Ed25519PrivateKey,
): (receipt: Omit<Receipt, 'node'>) => Uint8Array {
  const sign = createEnvelopeSigner(DOMAIN, key);
  return ({ provider, ...receipt }) => {
    const wire = { ...receipt, provider: provider.slice(0, MAX_PROVIDER_LENGTH) };
    return sign(dagCbor.encode(wire));
  };
}

/**
 * Opens a signed receipt: size, then form, then key, then signature, then the payload. Keys of a later program are ignored.
 *
 * @throws {ERR_LIMIT} when it is larger than {@link MAX_RECEIPT_BYTES}.
 * @throws {ERR_INVALID_RECORD} when it is malformed or its signature does not match.
 */
export async function openReceipt(bytes: Uint8Array): Promise<SignedReceipt> {
  const { signer, payload } = await openEnvelope(DOMAIN, bytes, MAX_RECEIPT_BYTES);
  let value: unknown;
  try {
    value = dagCbor.decode(payload);
  } catch (cause) {
    throw new InvalidRecordError('receipt has a payload that is not dag-cbor', { cause });
  }
  const parsed = receiptSchema.safeParse(value);
  if (!parsed.success) throw new InvalidRecordError(`receipt ${describeSchemaIssue(parsed.error)}`);
  const { version, ...rest } = parsed.data;
  return {
    bytes,
    receipt: { ...rest, node: signer as NodeId, version: version as VersionCid },
  };
}

/**
 * Compares a receipt with what is known of the call.
 *
 * @throws {ERR_INVALID_RECORD} naming the first thing that it says otherwise, what was expected and found.
 */
export async function checkReceipt(receipt: Receipt, claim: ReceiptClaim): Promise<void> {
  for (const field of ['node', 'caller', 'version'] as const) {
    const expected = claim[field];
    if (expected !== undefined && receipt[field] !== expected) {
      throw new InvalidRecordError(
        `receipt is of ${field} ${receipt[field]}, expected ${field} ${expected}`,
      );
    }
  }
  if (claim.nonce !== undefined && !sameBytes(receipt.nonce, claim.nonce)) {
    throw new InvalidRecordError(
      `receipt is of a request with nonce ${digestText(receipt.nonce)}, expected ${digestText(claim.nonce)}`,
    );
  }
  for (const field of ['inputs', 'outputs'] as const) {
    const tensors = claim[field];
    if (tensors === undefined) continue;
    const expected = await digestTensors(tensors);
    if (!sameBytes(receipt[field], expected)) {
      throw new InvalidRecordError(
        `receipt is of ${field} with digest ${digestText(receipt[field])}, expected ${digestText(expected)}`,
      );
    }
  }
}
