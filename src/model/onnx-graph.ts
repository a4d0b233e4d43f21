import type { TensorSpec } from '../../protocols/types.ts';

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
