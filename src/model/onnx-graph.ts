import { InvalidModelError } from '../../protocols/errors.ts';
import type { AbortOptions, TensorSpec } from '../../protocols/types.ts';
import type { ByteSource } from './byte-source.ts';
import { FORMAT_HEAD_BYTES, foreignFormat } from './foreign-format.ts';
import { expandedNodeCount, type FunctionBody, mergeOperators } from './model-function.ts';
import { ModelCollector } from './onnx-collector.ts';
import { MODEL_SCHEMA } from './onnx-schema.ts';
import { walkMessage } from './protobuf-reader.ts';

/** A model's input or output: a tensor that requests can carry, or something else, by ONNX's name for it. */
export type GraphValue = TensorValue | UnsupportedValue;

export interface TensorValue extends TensorSpec {
  readonly kind: 'tensor';
  /** False when the model declares no shape at all; `shape` is `[]` then, and says nothing. */
  readonly ranked: boolean;
}

export interface UnsupportedValue {
  readonly kind: 'unsupported';
  readonly name: string;
  /** As ONNX writes it: `seq(map(int64,tensor(float)))`, `tensor(bfloat16)`; `undeclared` when the model has no type. */
  readonly type: string;
}

/** Where a tensor's data lies. */
export type TensorLocation =
  | {
      readonly kind: 'inline';
      /** Bytes from the start of the .onnx file; 0 when `storedBytes` is 0. */
      readonly offset: number;
      /** Bytes of the data in the file; for {@link TensorInfo.encoding} `typed` not what it takes when unpacked. */
      readonly storedBytes: number;
    }
  | {
      readonly kind: 'external';
      /** As the model writes it: not checked, possibly hostile. */
      readonly file: string;
      readonly offset: number;
      /** Null when the model leaves it out: the data then goes to where its shape says. */
      readonly length: number | null;
    };

/** A tensor stored with the model: its weights. */
export interface TensorInfo {
  /** `''` for most attribute tensors. */
  readonly name: string;
  /** ONNX's number, `TensorProto.DataType`. */
  readonly elementType: number;
  readonly shape: readonly number[];
  /** `sparse`: the values or indices of a sparse tensor. `attribute`: in a node, as Constant has it. */
  readonly role: 'initializer' | 'sparse' | 'attribute';
  /** `raw` is little-endian elements; `typed` protobuf's own numbers or strings; `none` no data at all. */
  readonly encoding: 'raw' | 'typed' | 'none';
  /** Bytes it takes when unpacked, by shape and element type; for strings and unknown types what is stored. */
  readonly byteLength: number;
  readonly location: TensorLocation;
}

export interface OperatorUse {
  /** `''` for ONNX's own operators, also where the model writes `ai.onnx`. */
  readonly domain: string;
  readonly type: string;
  /** Nodes as written, those in subgraphs and functions included. */
  readonly count: number;
}

/** What an .onnx file says of itself, its weights left where they are. */
export interface OnnxGraph {
  /** What errors call the file. */
  readonly fileName: string;
  readonly fileBytes: number;
  /** 0 when absent. */
  readonly irVersion: number;
  readonly producer: string;
  readonly opsets: readonly { readonly domain: string; readonly version: number }[];
  /** Without those that an initializer fills (files before IR version 4 list these as inputs too). */
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly operators: readonly OperatorUse[];
  /** Functions the model brings along: their operators need no registration. */
  readonly functions: readonly { readonly domain: string; readonly name: string }[];
  readonly nodeCount: number;
  /** Nodes once every call of a model's function is replaced by its body; Infinity when functions call themselves. */
  readonly expandedNodeCount: number;
  /** 0 when no node has a subgraph. */
  readonly maxSubgraphDepth: number;
  /** All stored tensors, those of subgraphs, functions and attributes included, in file order. */
  readonly tensors: readonly TensorInfo[];
  /** Names of the files that tensors refer to, as written, each once. */
  readonly externalFiles: readonly string[];
  /** Bytes of all tensors when unpacked. */
  readonly weightBytes: number;
  /** Values over 64 KiB are left out. */
  readonly metadata: Readonly<Record<string, string>>;
}

export interface ReadOnnxOptions extends AbortOptions {
  /** What errors call the file. @default 'model.onnx' */
  readonly fileName?: string | undefined;
}

/**
 * Reads what an .onnx file declares, without its weights: a file of any size in a few MiB of memory.
 *
 * Nothing is judged here beyond being an ONNX model; {@link checkOnnxGraph} does that.
 *
 * @throws {ERR_INVALID_MODEL} when the file is something else, damaged, or has no graph
 */
export async function readOnnxGraph(
  source: ByteSource,
  options: ReadOnnxOptions = {},
): Promise<OnnxGraph> {
  const fileName = options.fileName ?? 'model.onnx';
  const head = await source.read(0, Math.min(source.size, FORMAT_HEAD_BYTES));
  const foreign = foreignFormat(head);
  if (foreign !== undefined) {
    throw new InvalidModelError(`${fileName}: expected an ONNX protobuf, found ${foreign}`, {
      details: { file: fileName, fileBytes: source.size },
    });
  }
  const model = new ModelCollector(fileName);
  await walkMessage(source, MODEL_SCHEMA, model, { fileName, signal: options.signal });
  if (model.graphs === 0) {
    throw new InvalidModelError(
      `${fileName}: expected an ONNX model, found ${model.irVersion === 0 ? 'no field of one' : `IR version ${model.irVersion} without a graph`}`,
      { details: { file: fileName, fileBytes: source.size } },
    );
  }
  return assemble(model, fileName, source.size);
}

function assemble(model: ModelCollector, fileName: string, fileBytes: number): OnnxGraph {
  const bodies: readonly FunctionBody[] = [model.main, ...model.functions];
  const given = new Set(model.initializerNames);
  const external = new Set<string>();
  let weightBytes = 0;
  for (const tensor of model.tensors) {
    weightBytes += tensor.byteLength;
    if (tensor.location.kind === 'external') {
      external.add(tensor.location.file);
    }
  }
  return {
    fileName,
    fileBytes,
    irVersion: model.irVersion,
    producer: model.producer,
    opsets: model.opsets,
    inputs: model.inputs.filter((input) => !given.has(input.name)),
    outputs: model.outputs,
    operators: mergeOperators(bodies),
    functions: model.functions.map(({ domain, name }) => ({ domain, name })),
    nodeCount: bodies.reduce((sum, body) => sum + body.nodeCount, 0),
    expandedNodeCount: expandedNodeCount(model.main, model.functions),
    maxSubgraphDepth: model.maxSubgraphDepth,
    tensors: model.tensors,
    externalFiles: [...external],
    weightBytes,
    // Object.fromEntries defines own properties, so a key of '__proto__' is a key like any other.
    metadata: Object.fromEntries(model.metadata),
  };
}
