import * as dagCbor from '@ipld/dag-cbor';
import { CID } from 'multiformats/cid';
import { type BlockCid, cidOfDigest, sha256 } from '../digest.ts';
import { InvalidRecordError, LimitError } from '../errors.ts';
import { MAX_MANIFEST_BYTES } from '../limits.ts';
import type { TensorSpec, VersionCid } from '../types.ts';
import type { Answer } from './answer.ts';
import type { Deployment } from './deployment.ts';
import type { Embedding } from './embedding.ts';
import type { GoldenReference, Tolerance } from './golden.ts';
import { manifestSchema } from './manifest-schema.ts';
import type { ModelMetadata } from './metadata.ts';
import type { Preprocessing } from './preprocessing.ts';
import { toCidLink } from '../record-fields.ts';
import { describeSchemaIssue } from '../schema-issue.ts';

/** One file of a version, byte for byte what the publisher gave. */
export interface ManifestFile {
  /** A plain file name: a package is one flat directory. */
  readonly path: string;
  /** Bytes; 0 is a file too. */
  readonly size: number;
  /** sha256 of the whole file, so that it can be compared with what other registries say. */
  readonly sha256: Uint8Array;
  /** The block that lists the file's chunks. */
  readonly chunks: BlockCid;
}

/** Everything a version is. Its CID is the version's only identity; it has no name, for names move. */
export interface Manifest {
  readonly schema: 1;
  /** The path of the .onnx file to load. */
  readonly entry: string;
  readonly files: readonly ManifestFile[];
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly deployment: Deployment;
  readonly metadata: ModelMetadata;
  /** How a client makes an input tensor from a picture. */
  readonly preprocessing?: Preprocessing | undefined;
  /** Names for the last axis of the output that {@link answer} names, or for the indices it ranks. */
  readonly classLabels?: readonly string[] | undefined;
  readonly answer?: Answer | undefined;
  /** How texts become vectors, for a model whose task is that. */
  readonly embedding?: Embedding | undefined;
  /** Inputs with their right outputs, run by each node before it serves; absent when the publisher wanted none. */
  readonly golden?: GoldenReference | undefined;
  /** How far two nodes' answers may be from each other. @default DEFAULT_TOLERANCE */
  readonly tolerance?: Tolerance | undefined;
}

export interface EncodedManifest {
  readonly bytes: Uint8Array;
  readonly cid: VersionCid;
}

/**
 * Encodes a manifest as a dag-cbor block. Equal manifests give equal bytes: files are sorted by path, keys by dag-cbor's
 * rule, what is undefined is absent, what this program does not know is left out.
 *
 * @throws {ERR_INVALID_RECORD} when a field is out of bounds; the message names it.
 * @throws {ERR_LIMIT} when the block would be larger than {@link MAX_MANIFEST_BYTES}.
 */
export function encodeManifest(manifest: Manifest): EncodedManifest {
  const checked = check(toWire(manifest));
  const files = checked.files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const bytes = new Uint8Array(dagCbor.encode(toWire({ ...checked, files })));
  checkSize(bytes);
  return { bytes, cid: manifestCid(bytes) };
}

/**
 * Decodes a manifest, its size and hash first. Keys that this program does not know are ignored, so that later programs
 * can add some; whoever passes a manifest on passes on the bytes.
 *
 * @throws {ERR_LIMIT} when it is larger than {@link MAX_MANIFEST_BYTES}.
 * @throws {ERR_INVALID_RECORD} when its hash is not `expectedCid`'s or a field is wrong; the message names the field.
 */
export function decodeManifest(bytes: Uint8Array, expectedCid?: VersionCid): Manifest {
  checkSize(bytes);
  if (expectedCid !== undefined && manifestCid(bytes) !== expectedCid) {
    throw new InvalidRecordError(
      `manifest hashes to ${manifestCid(bytes)}, expected ${expectedCid}`,
    );
  }
  let value: unknown;
  try {
    value = dagCbor.decode(bytes);
  } catch (cause) {
    throw new InvalidRecordError('manifest is not dag-cbor', { cause });
  }
  return check(value);
}

/** The version that these manifest bytes are. */
export function manifestCid(bytes: Uint8Array): VersionCid {
  return cidOfDigest(sha256(bytes)).toString() as VersionCid;
}

/** Bytes of all files of a version. */
export function manifestBytes(manifest: Manifest): number {
  return manifest.files.reduce((total, { size }) => total + size, 0);
}

function check(value: unknown): Manifest {
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new InvalidRecordError(`manifest ${describeSchemaIssue(parsed.error)}`);
}

/** dag-cbor knows no `undefined`, and a link is a CID object rather than its text. */
function toWire(manifest: Manifest): unknown {
  const files = manifest.files.map((file) => ({ ...file, chunks: toCidLink(file.chunks) }));
  return withoutUndefined({ ...manifest, files });
}

function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined);
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Uint8Array || CID.asCID(value) !== null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [key, withoutUndefined(item)]),
  );
}

function checkSize(bytes: Uint8Array): void {
  if (bytes.byteLength > MAX_MANIFEST_BYTES) {
    throw new LimitError(
      `manifest has ${bytes.byteLength} bytes, expected at most ${MAX_MANIFEST_BYTES}`,
    );
  }
}
