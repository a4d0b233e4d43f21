import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Datatype } from '../../protocols/datatype.ts';
import { Tensor } from '../../protocols/tensor.ts';
import type { Tolerance } from './tensor-differences.ts';

/** Real models from elsewhere, and malformed ones; too large and too differently licensed to lie in the repository. */
export const MODEL_LIBRARY = path.resolve(
  process.env['SWARM_TEST_MODELS'] ??
    fileURLToPath(new URL('../../../shared/models', import.meta.url)),
);

/** Why tests that need the library cannot run; undefined when they can. */
export const MODEL_LIBRARY_ABSENT = existsSync(path.join(MODEL_LIBRARY, 'index.json'))
  ? undefined
  : `skipped: no index.json in ${MODEL_LIBRARY}, set SWARM_TEST_MODELS`;

/** A tensor as the library writes it: row-major values, a file of little-endian ones, or one value everywhere. */
export interface LibraryTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data?: readonly (number | string | boolean)[];
  readonly file?: string;
  readonly fill?: number | string | boolean;
}

export type LibraryTensors = Readonly<Record<string, LibraryTensor>>;

export type LibrarySample = SingleSample | StatefulSample | GenerateSample;

/** One call. */
export interface SingleSample {
  readonly id: string;
  readonly kind: 'single';
  readonly inputs: LibraryTensors;
  /** Outputs to ask for; all without it. */
  readonly fetch?: readonly string[];
  readonly outputs: LibraryTensors;
  readonly tolerance: Tolerance;
}

/** Calls in a row, of which each is given what the one before left. */
export interface StatefulSample {
  readonly id: string;
  readonly kind: 'stateful';
  readonly steps: number;
  /** By input: its first dimension is the step. */
  readonly stream: LibraryTensors;
  readonly const: LibraryTensors;
  /** By input: what the first call is given, and the output that each further one takes. */
  readonly state: Readonly<Record<string, { readonly from: string; readonly init: LibraryTensor }>>;
  /** Of all steps; the first dimension is the step. */
  readonly outputs: LibraryTensors;
  readonly tolerance: Tolerance;
}

/** Greedy decoding: each call gives the next token, and the keys and values that the next call takes. */
export interface GenerateSample {
  readonly id: string;
  readonly kind: 'generate';
  readonly promptIds: readonly number[];
  readonly greedyIds: readonly number[];
  readonly kv: { readonly layers: number; readonly kvHeads: number; readonly headDim: number };
}

export interface LibraryModel {
  readonly name: string;
  /** Of the model, relative to the library. */
  readonly file: string;
  /** What the model consists of, relative to its folder. */
  readonly files: readonly { readonly path: string }[];
  readonly samples: readonly LibrarySample[];
}

export interface BadModel {
  readonly name: string;
  readonly kind: string;
  readonly file: string;
  readonly files: readonly { readonly path: string }[];
  readonly feeds?: LibraryTensors;
  readonly okFeeds?: LibraryTensors;
  /** What a node must do with it, in words. */
  readonly must: string;
}

export function libraryModels(): readonly LibraryModel[] {
  return readIndex('index.json') as LibraryModel[];
}

export function badModels(): readonly BadModel[] {
  return readIndex('bad/index.json') as BadModel[];
}

function readIndex(file: string): unknown[] {
  if (MODEL_LIBRARY_ABSENT !== undefined) return [];
  const text = readFileSync(path.join(MODEL_LIBRARY, file), 'utf8');
  return (JSON.parse(text) as { models: unknown[] }).models;
}

const DATATYPES: Readonly<Record<string, Datatype>> = {
  bool: 'BOOL',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
  string: 'BYTES',
};

/** The tensor that the library writes so; `folder` is its model's. */
export function libraryTensor(folder: string, { dtype, shape, ...values }: LibraryTensor): Tensor {
  const datatype = DATATYPES[dtype];
  if (datatype === undefined) throw new TypeError(`unknown dtype ${dtype}`);
  if (values.file !== undefined) {
    return new Tensor(datatype, shape, readFileSync(path.join(folder, values.file)));
  }
  const count = shape.reduce((product, size) => product * size, 1);
  const given = values.data ?? Array.from({ length: count }, () => values.fill ?? 0);
  if (datatype === 'BYTES') return Tensor.from(datatype, shape, given.map(String));
  if (datatype === 'BOOL') return Tensor.from(datatype, shape, given.map(Boolean));
  const wide = datatype === 'INT64' || datatype === 'UINT64';
  return Tensor.from(datatype, shape, wide ? given.map((n) => BigInt(n)) : given.map(Number));
}
