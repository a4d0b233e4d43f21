import * as dagCbor from '@ipld/dag-cbor';
import { CID } from 'multiformats/cid';
import { type BlockCid, cidOfDigest, sha256 } from '../../protocols/digest.ts';
import type { ErrorCode } from '../../protocols/errors.ts';
import type { ChunkList, Embedding, Manifest } from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { hex } from '../support/hex.ts';

const DIGEST = new Uint8Array(32).fill(7);

/** The CID of a chunk list: version 1, dag-cbor, sha256, 32 times 0x07. */
const LIST_CID = 'bafyreiaha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4' as BlockCid;

/** One file, one input, one output, and nothing else. */
export const smallManifest: Manifest = {
  schema: 1,
  entry: 'm.onnx',
  files: [{ path: 'm.onnx', size: 3, sha256: DIGEST, chunks: LIST_CID }],
  inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 2, null] }],
  outputs: [{ name: 'y', datatype: 'INT64', shape: [] }],
  deployment: {},
  metadata: {},
};

/** The block of {@link smallManifest}: keys by length, then by their bytes; the link under tag 42. */
export const smallManifestBlock: Uint8Array = hex(
  'a7',
  '65 656e747279 66 6d2e6f6e6e78', // entry: m.onnx
  '65 66696c6573 81 a4', // files
  '64 70617468 66 6d2e6f6e6e78', // path: m.onnx
  '64 73697a65 03', // size: 3
  `66 6368756e6b73 d82a 5825 00 01711220 ${'07'.repeat(32)}`, // chunks
  `66 736861323536 5820 ${'07'.repeat(32)}`, // sha256
  '66 696e70757473 81 a3 64 6e616d65 61 78', // inputs, name: x
  '65 7368617065 83 65 6261746368 02 f6', // shape: batch, 2, null
  '68 6461746174797065 64 46503332', // datatype: FP32
  '66 736368656d61 01', // schema: 1
  '67 6f757470757473 81 a3 64 6e616d65 61 79', // outputs, name: y
  '65 7368617065 80', // shape: []
  '68 6461746174797065 65 494e543634', // datatype: INT64
  '68 6d65746164617461 a0', // metadata
  '6a 6465706c6f796d656e74 a0', // deployment
);

export const SMALL_MANIFEST_CID =
  'bafyreie4bqfqbkjgsue5tcju7qfrwsz3n2nthxohl2zunfprmcrxwu5rly' as VersionCid;

/** A chunk list of one chunk, and its block. */
export const smallChunkList: ChunkList = [{ digest: DIGEST, size: 3 }];
export const smallChunkListBlock: Uint8Array = hex(
  '81 a2',
  '64 73697a65 03', // size: 3
  `66 646967657374 5820 ${'07'.repeat(32)}`, // digest
);

interface Vector {
  /** What is wrong with it, or what is remarkable though right. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** The code it is refused with. */
  readonly refused?: ErrorCode;
  readonly message?: string | RegExp;
}

export interface ManifestVector extends Vector {
  readonly manifest?: Manifest;
}

export interface ChunkListVector extends Vector {
  readonly chunks?: ChunkList;
}

const LINK = CID.parse(LIST_CID);

/** A manifest's block as anyone could write it, right or wrong. What is undefined is left out. */
function block(changes: Record<string, unknown>): Uint8Array {
  const { files: _files, ...rest } = smallManifest;
  const fields = Object.entries({ ...rest, files: [file({})], ...changes });
  return dagCbor.encode(Object.fromEntries(fields.filter(([, value]) => value !== undefined)));
}

function file(changes: Record<string, unknown>): Record<string, unknown> {
  return { path: 'm.onnx', size: 3, sha256: DIGEST, chunks: LINK, ...changes };
}

const y = { name: 'y', datatype: 'INT64', shape: [] as unknown[] };

const image = {
  kind: 'image',
  input: 'x',
  width: 8,
  height: 8,
  channels: 'gray',
  layout: 'NCHW',
} as const;

const deployment: Manifest['deployment'] = {
  maxBatch: 32,
  batchDimension: 0,
  maxBatchDelayMs: 0.25,
  maxQueued: 64,
  providers: ['cuda', 'tpu-of-a-later-program'],
  session: { graphOptimizationLevel: 'extended', intraOpThreads: 4, memoryPattern: false },
  memoryBytes: 5_000_000_000,
  targetInFlight: 8,
  latencyObjectiveMs: 50,
  scaleToZeroDelayMs: 60_000,
};

const embedding: Embedding = {
  ...{ tokenizer: 'm.onnx', output: 'y', pooling: 'cls', normalize: false },
  ...{ maxTokens: 8, minDimensions: 2 },
};

function refusedManifest(
  name: string,
  changes: Record<string, unknown>,
  message: string | RegExp,
): ManifestVector {
  return { name, bytes: block(changes), refused: 'ERR_INVALID_RECORD', message };
}

export const manifestVectors: readonly ManifestVector[] = [
  { name: 'small', bytes: smallManifestBlock, manifest: smallManifest },
  {
    name: 'unknown keys, at the top and within',
    bytes: block({ later: 1, files: [file({ mode: 0o644 })], metadata: { stars: 5 } }),
    manifest: smallManifest,
  },
  {
    name: 'everything there is',
    bytes: block({
      deployment: { minReplicas: 0, maxReplicas: 1 },
      metadata: { task: 't', description: '', licence: 'MIT', source: '', labels: { a: 'b' } },
      preprocessing: { ...image, scale: 1, mean: [0.5], std: [2], invert: true },
      classLabels: ['a', 'b'],
      answer: { kind: 'argmax', output: 'y' },
      embedding: { ...embedding, later: 1 },
    }),
    manifest: {
      ...smallManifest,
      deployment: { minReplicas: 0, maxReplicas: 1 },
      metadata: { task: 't', description: '', licence: 'MIT', source: '', labels: { a: 'b' } },
      preprocessing: { ...image, scale: 1, mean: [0.5], std: [2], invert: true },
      classLabels: ['a', 'b'],
      answer: { kind: 'argmax', output: 'y' },
      embedding,
    },
  },
  {
    name: 'golden vectors, a model card, a tolerance and a whole deployment, later keys within',
    bytes: block({
      golden: { file: 'm.onnx', cases: 3 },
      tolerance: { absolute: 0.5, relative: 0, ulps: 4 },
      metadata: { modelCard: 'm.onnx' },
      deployment: { ...deployment, shards: 2, session: { ...deployment.session, extra: {} } },
    }),
    manifest: {
      ...smallManifest,
      golden: { file: 'm.onnx' },
      tolerance: { absolute: 0.5, relative: 0 },
      metadata: { modelCard: 'm.onnx' },
      deployment,
    },
  },
  refusedManifest(
    'golden vectors in a file that is not there',
    { golden: { file: 'golden.json' } },
    'manifest field golden.file: is not one of the files',
  ),
  refusedManifest(
    'a model card that is not there',
    { metadata: { modelCard: 'README.md' } },
    'manifest field metadata.modelCard: is not one of the files',
  ),
  refusedManifest(
    'a tolerance below zero',
    { tolerance: { absolute: -1, relative: 0 } },
    /^manifest field tolerance\.absolute: /,
  ),
  refusedManifest(
    'a batching delay over 2 ms',
    { deployment: { maxBatchDelayMs: 2.001 } },
    /^manifest field deployment\.maxBatchDelayMs: /,
  ),
  {
    name: 'larger than 1 MiB',
    bytes: new Uint8Array(1024 * 1024 + 1),
    refused: 'ERR_LIMIT',
    message: 'manifest has 1048577 bytes, expected at most 1048576',
  },
  {
    name: 'exactly 1 MiB of something else',
    bytes: new Uint8Array(1024 * 1024),
    refused: 'ERR_INVALID_RECORD',
    message: 'manifest is not dag-cbor',
  },
  {
    name: 'nothing',
    bytes: new Uint8Array(0),
    refused: 'ERR_INVALID_RECORD',
    message: 'manifest is not dag-cbor',
  },
  {
    name: 'bytes behind the block',
    bytes: Buffer.concat([smallManifestBlock, Uint8Array.of(0)]),
    refused: 'ERR_INVALID_RECORD',
    message: 'manifest is not dag-cbor',
  },
  {
    name: 'no map',
    bytes: hex('80'),
    refused: 'ERR_INVALID_RECORD',
    message: /^manifest .*expected object/,
  },
  refusedManifest('a later schema', { schema: 2 }, /^manifest field schema: /),
  refusedManifest('no schema', { schema: undefined }, /^manifest field schema: /),
  refusedManifest('no outputs', { outputs: [] }, /^manifest field outputs: /),
  refusedManifest('no files', { files: [] }, /^manifest field files: /),
  refusedManifest(
    'an entry that is no file of it',
    { entry: 'n.onnx' },
    'manifest field entry: is not one of the files',
  ),
  refusedManifest(
    'a path that climbs out',
    { files: [file({ path: '../m.onnx' })] },
    /^manifest field files\[0\]\.path: file name holds one of/,
  ),
  refusedManifest(
    'a device as a file name',
    { entry: 'NUL', files: [file({ path: 'NUL' })] },
    'manifest field files[0].path: file name is a reserved device name',
  ),
  refusedManifest(
    'two files that are one on some systems',
    { files: [file({}), file({ path: 'M.onnx' })] },
    'manifest field files[1].path: names a file twice',
  ),
  refusedManifest(
    'a negative size',
    { files: [file({ size: -1 })] },
    /^manifest field files\[0\]\.size: /,
  ),
  refusedManifest(
    'sizes beyond 2^53',
    {
      files: [
        file({ size: Number.MAX_SAFE_INTEGER }),
        file({ path: 'w', size: Number.MAX_SAFE_INTEGER }),
      ],
    },
    'manifest field files: sizes add up to more than 2^53 bytes',
  ),
  refusedManifest(
    'a digest of 31 bytes',
    { files: [file({ sha256: DIGEST.subarray(1) })] },
    'manifest field files[0].sha256: expected 32 bytes',
  ),
  refusedManifest(
    'a link as text',
    { files: [file({ chunks: LIST_CID })] },
    'manifest field files[0].chunks: expected a link to a dag-cbor block by sha256',
  ),
  refusedManifest(
    'a link to raw bytes',
    { files: [file({ chunks: CID.createV1(0x55, LINK.multihash) })] },
    'manifest field files[0].chunks: expected a link to a dag-cbor block by sha256',
  ),
  refusedManifest(
    'a datatype of another world',
    { outputs: [{ ...y, datatype: 'BF16' }] },
    'manifest field outputs[0].datatype: expected a datatype such as FP32',
  ),
  refusedManifest(
    'a negative dimension',
    { outputs: [{ ...y, shape: [-1] }] },
    /^manifest field outputs\[0\]\.shape\[0\]: /,
  ),
  refusedManifest(
    '33 dimensions',
    { outputs: [{ ...y, shape: Array.from({ length: 33 }, () => 1) }] },
    /^manifest field outputs\[0\]\.shape: /,
  ),
  refusedManifest(
    'one name for two outputs',
    { outputs: [y, y] },
    'manifest field outputs[1].name: names a tensor twice',
  ),
  refusedManifest(
    'a minimum above the maximum',
    { deployment: { minReplicas: 3, maxReplicas: 2 } },
    'manifest field deployment.maxReplicas: expected at least minReplicas',
  ),
  refusedManifest(
    'a picture for an input that is not there',
    { preprocessing: { ...image, input: 'z' } },
    "manifest field preprocessing.input: 'z' is not an input of the model",
  ),
  refusedManifest(
    'vectors from an output that is not there',
    { embedding: { ...embedding, output: 'z' } },
    "manifest field embedding.output: 'z' is not an output of the model",
  ),
  refusedManifest(
    'a tokenizer that is none of the files',
    { embedding: { ...embedding, tokenizer: 'tokenizer.json' } },
    'manifest field embedding.tokenizer: is not one of the files',
  ),
  refusedManifest(
    'an answer from an output that is not there',
    { answer: { kind: 'ranking', output: 'y', scores: 'z' } },
    "manifest field answer: 'z' is not an output of the model",
  ),
  refusedManifest(
    'a kind of answer of a later program',
    { answer: { kind: 'histogram', output: 'y' } },
    /^manifest field answer\.kind: /,
  ),
];

const chunkBlock = (...chunks: unknown[]): Uint8Array => dagCbor.encode(chunks);

function refusedList(name: string, bytes: Uint8Array, message: string | RegExp): ChunkListVector {
  return { name, bytes, refused: 'ERR_INVALID_RECORD', message };
}

export const chunkListVectors: readonly ChunkListVector[] = [
  { name: 'one chunk', bytes: smallChunkListBlock, chunks: smallChunkList },
  { name: 'no chunk', bytes: hex('80'), chunks: [] },
  {
    name: 'an unknown key',
    bytes: chunkBlock({ digest: DIGEST, size: 3, tensor: 'w' }),
    chunks: smallChunkList,
  },
  {
    name: 'the largest chunk',
    bytes: chunkBlock({ digest: DIGEST, size: 2 * 1024 * 1024 }),
    chunks: [{ digest: DIGEST, size: 2 * 1024 * 1024 }],
  },
  refusedList(
    'a chunk one byte too large',
    chunkBlock({ digest: DIGEST, size: 2 * 1024 * 1024 + 1 }),
    /^chunk list field \[0\]\.size: /,
  ),
  refusedList(
    'an empty chunk',
    chunkBlock({ digest: DIGEST, size: 0 }),
    /^chunk list field \[0\]\.size: /,
  ),
  refusedList(
    'a digest of 33 bytes',
    chunkBlock({ digest: new Uint8Array(33), size: 1 }),
    'chunk list field [0].digest: expected 32 bytes',
  ),
  refusedList('a map', dagCbor.encode({}), /^chunk list .*expected array/),
  refusedList('half a list', smallChunkListBlock.subarray(0, 20), 'chunk list is not dag-cbor'),
  {
    name: 'larger than 2 MiB',
    bytes: new Uint8Array(2 * 1024 * 1024 + 1),
    refused: 'ERR_LIMIT',
    message: 'chunk list has 2097153 bytes, expected at most 2097152',
  },
];

/** What a block is asked for by. */
export function cidOf(bytes: Uint8Array): BlockCid {
  return cidOfDigest(sha256(bytes)).toString() as BlockCid;
}
