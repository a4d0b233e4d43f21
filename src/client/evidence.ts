import * as dagCbor from '@ipld/dag-cbor';
import { z } from 'zod';
import { openOwnerCertificate } from '../../protocols/capacity/index.ts';
import { digestText, sameBytes, sha256 } from '../../protocols/digest.ts';
import { InvalidRecordError } from '../../protocols/errors.ts';
import { type Tolerance, toleranceSchema } from '../../protocols/manifest/index.ts';
import { decodeTensors, openReceipt, type Receipt } from '../../protocols/receipt/index.ts';
import { describeSchemaIssue } from '../../protocols/schema-issue.ts';
import type { NodeId, OwnerId, PublisherId, VersionCid } from '../../protocols/types.ts';
import { CHARGES, type Charge } from '../policy/distrust.ts';
import { differenceOfAnswers } from '../policy/verification.ts';

/** Bytes of encoded evidence at most: tensors, and the receipts of all that a call may ask. */
export const MAX_EVIDENCE_BYTES = 512 * 1024;

/** Bytes of inputs and two answers that are kept with it; of larger ones the digests alone. */
export const MAX_KEPT_TENSOR_BYTES = 256 * 1024;

/** What one node signed, and whose node it is. */
export interface Testimony {
  readonly node: NodeId;
  readonly owner: OwnerId;
  /** Signed by the owner: the node is theirs. */
  readonly ownerCertificate: Uint8Array;
  /** Signed by the node: what it answered to what. */
  readonly receipt: Uint8Array;
}

/** The tensors that the receipts are of, encoded as their digests are made. */
export interface DisputedTensors {
  readonly inputs: Uint8Array;
  /** Of the accused. */
  readonly found: Uint8Array;
  /** Of the first witness. */
  readonly expected: Uint8Array;
}

/** Why a client does not ask a node any more, so that others can judge too. */
export interface Evidence {
  readonly charge: Charge;
  /** Milliseconds since 1970 by the client's clock. */
  readonly atMs: number;
  readonly publisher: PublisherId;
  readonly name: string;
  readonly version: VersionCid;
  /** sha256 of the request's tensors, in hexadecimal. */
  readonly inputDigest: string;
  /** Where the answers differ, in words. */
  readonly difference: string;
  readonly tolerance: Tolerance;
  readonly accused: Testimony;
  readonly witnesses: readonly Testimony[];
  /** Null when they are too large to be kept. */
  readonly tensors: DisputedTensors | null;
}

/** The last millisecond that a `Date` holds. */
const MAX_TIME_MS = 8_640_000_000_000_000;

const bytes = z.instanceof(Uint8Array);
const testimonySchema = z.object({
  node: z.string().max(128),
  owner: z.string().max(128),
  ownerCertificate: bytes,
  receipt: bytes,
});
const evidenceSchema = z.object({
  charge: z.enum(CHARGES),
  atMs: z.int().min(0).max(MAX_TIME_MS),
  publisher: z.string().max(128),
  name: z.string().max(64),
  version: z.string().max(128),
  inputDigest: z.string().length(64),
  difference: z.string().max(1024),
  tolerance: toleranceSchema,
  accused: testimonySchema,
  witnesses: z.array(testimonySchema).min(1).max(32),
  tensors: z.object({ inputs: bytes, found: bytes, expected: bytes }).nullable(),
});

/** Evidence as a dag-cbor map with the fields of {@link Evidence}. */
export function encodeEvidence(evidence: Evidence): Uint8Array {
  return new Uint8Array(dagCbor.encode(evidence));
}

/**
 * Reads what {@link encodeEvidence} wrote; {@link checkEvidence} says whether to believe it.
 *
 * @throws {ERR_INVALID_RECORD} when it is malformed.
 */
export function decodeEvidence(encoded: Uint8Array): Evidence {
  let value: unknown;
  try {
    value = dagCbor.decode(encoded);
  } catch (cause) {
    throw new InvalidRecordError('evidence is not dag-cbor', { cause });
  }
  const parsed = evidenceSchema.safeParse(value);
  if (!parsed.success) {
    throw new InvalidRecordError(`evidence ${describeSchemaIssue(parsed.error)}`);
  }
  // The ids are believed for their signatures, not for their form.
  return parsed.data as unknown as Evidence;
}

/**
 * Checks all that is signed: each receipt by its node, each node by its owner, one version and one input in all of them, no
 * owner twice; and where the tensors are kept, that they are those of the receipts and differ by more than the tolerance.
 *
 * What it cannot show is which of them is right: whoever has the inputs can run the version and see.
 *
 * @throws {ERR_INVALID_RECORD | ERR_LIMIT} naming the first thing that is not as it claims.
 */
export async function checkEvidence(evidence: Evidence): Promise<void> {
  const { accused, witnesses, tensors, tolerance } = evidence;
  const owners = new Set([accused, ...witnesses].map(({ owner }) => owner));
  if (owners.size <= witnesses.length) {
    throw new InvalidRecordError('evidence names an owner twice, expected different owners');
  }
  const receipt = await checkTestimony(accused, evidence);
  const receipts = await Promise.all(witnesses.map((one) => checkTestimony(one, evidence)));
  if (receipts.some(({ outputs }) => sameBytes(outputs, receipt.outputs))) {
    throw new InvalidRecordError('evidence has a witness who answered the same as the accused');
  }
  if (tensors === null) return;
  checkDigest('inputs', tensors.inputs, receipt.inputs);
  checkDigest('outputs of the accused', tensors.found, receipt.outputs);
  checkDigest('outputs of the witness', tensors.expected, receipts[0]?.outputs);
  const [expected, found] = [decodeTensors(tensors.expected), decodeTensors(tensors.found)];
  if (differenceOfAnswers(expected, found, tolerance) === undefined) {
    throw new InvalidRecordError('evidence has answers that differ by less than its tolerance');
  }
}

async function checkTestimony(
  { node, owner, ownerCertificate, receipt: signed }: Testimony,
  { version, inputDigest }: Evidence,
): Promise<Receipt> {
  const { receipt } = await openReceipt(signed);
  const certificate = await openOwnerCertificate(ownerCertificate);
  if (certificate.owner !== owner || certificate.node !== node || receipt.node !== node) {
    throw new InvalidRecordError(
      `evidence names node ${node} of owner ${owner}, found a receipt of ${receipt.node} and a certificate of ${certificate.owner} for ${certificate.node}`,
    );
  }
  if (receipt.version !== version) {
    throw new InvalidRecordError(`receipt is of version ${receipt.version}, expected ${version}`);
  }
  const found = digestText(receipt.inputs);
  if (found !== inputDigest) {
    throw new InvalidRecordError(`receipt is of inputs ${found}, expected ${inputDigest}`);
  }
  return receipt;
}

function checkDigest(what: string, encoded: Uint8Array, expected: Uint8Array | undefined): void {
  if (expected !== undefined && sameBytes(sha256(encoded), expected)) return;
  throw new InvalidRecordError(`evidence has ${what} that are not those of the receipt`);
}
