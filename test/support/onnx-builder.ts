import type { Datatype } from '../../protocols/datatype.ts';
import type { DeclaredDimension } from '../../protocols/types.ts';
import { ProtobufWriter } from './protobuf-writer.ts';

/** ONNX element types of our datatypes (`TensorProto.DataType`). */
export const ELEMENT_TYPES: Readonly<Record<Datatype, number>> = {
  FP32: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  BYTES: 8,
  BOOL: 9,
  FP16: 10,
  FP64: 11,
  UINT32: 12,
  UINT64: 13,
};

/** A graph input or output. */
export interface ValueInit {
  readonly name: string;
  /** A number is an ONNX element type that we have no word for (16 bfloat16, 22 int4). */
  readonly datatype?: Datatype | number;
  /** `[]` is a scalar; without it the rank stays undeclared. */
  readonly shape?: readonly DeclaredDimension[];
  /** An encoded `TypeProto` in place of datatype and shape: sequences, maps, optionals. */
  readonly type?: Uint8Array;
}

/** Numbers, bigints or booleans row-major; strings for BYTES; a `Uint8Array` is raw little-endian data as it is. */
export type TensorData =
  | Uint8Array
  | readonly number[]
  | readonly bigint[]
  | readonly boolean[]
  | readonly string[];

export interface TensorInit {
  readonly name?: string;
  readonly datatype: Datatype | number;
  readonly shape: readonly number[];
  readonly data?: TensorData;
  /** Data in another file; `location` is written as it is, so that hostile names can be built. */
  readonly external?: {
    readonly location: string;
    readonly offset?: number | string;
    readonly length?: number | string;
  };
}

export interface InitializerInit extends TensorInit {
  readonly name: string;
}

export type AttributeInit =
  | { readonly int: number | bigint }
  | { readonly float: number }
  | { readonly string: string }
  | { readonly ints: readonly (number | bigint)[] }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] }
  | { readonly tensor: TensorInit }
  | { readonly sparseTensor: { readonly values: TensorInit; readonly indices: TensorInit } }
  | { readonly graph: GraphInit };

export interface NodeInit {
  readonly op: string;
  /** `''` leaves out an optional input. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** @default '' the ONNX domain */
  readonly domain?: string;
  readonly name?: string;
  readonly attributes?: Readonly<Record<string, AttributeInit>>;
}

export interface GraphInit {
  /** @default 'graph' */
  readonly name?: string;
  readonly inputs: readonly ValueInit[];
  readonly outputs: readonly ValueInit[];
  readonly nodes: readonly NodeInit[];
  readonly initializers?: readonly InitializerInit[];
}

/** A model-local function. */
export interface FunctionInit {
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly NodeInit[];
}

export interface ModelInit extends GraphInit {
  /** Version of the ONNX operator set. @default 17 */
  readonly opset?: number;
  /** Further operator sets by domain; those that nodes and functions name are added with version 1. */
  readonly domains?: Readonly<Record<string, number>>;
  /** @default 8 */
  readonly irVersion?: number;
  /** @default 'onnx-builder' */
  readonly producer?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly functions?: readonly FunctionInit[];
}

/**
 * An ONNX model's bytes, nothing checked: what is asked for is written, right or wrong.
 *
 * @example
 * buildModel({
 *   inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 2] }],
 *   outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 2] }],
 *   nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
 *   initializers: [{ name: 'w', datatype: 'FP32', shape: [2], data: [1, 2] }],
 * })
 */
export function buildModel(init: ModelInit): Uint8Array {
  const model = new ProtobufWriter().varint(1, init.irVersion ?? 8);
  model.bytes(2, init.producer ?? 'onnx-builder').bytes(7, encodeGraph(init));
  for (const [domain, version] of operatorSets(init)) {
    model.bytes(8, encodeOperatorSet(domain, version));
  }
  for (const [key, value] of Object.entries(init.metadata ?? {})) {
    model.bytes(14, encodeEntry(key, value));
  }
  for (const f of init.functions ?? []) {
    model.bytes(25, encodeFunction(f, init.opset ?? 17));
  }
  return model.finish();
}

/** The `TypeProto` of a tensor, to put into {@link sequenceType} and its kin. */
export function tensorType(
  datatype: Datatype | number,
  shape?: readonly DeclaredDimension[],
): Uint8Array {
  const tensor = new ProtobufWriter().varint(1, elementType(datatype));
  if (shape !== undefined) {
    const dimensions = new ProtobufWriter();
    for (const dimension of shape) {
      const encoded = new ProtobufWriter();
      if (typeof dimension === 'number') {
        encoded.varint(1, dimension);
      } else if (dimension !== null) {
        encoded.bytes(2, dimension);
      }
      dimensions.bytes(1, encoded.finish());
    }
    tensor.bytes(2, dimensions.finish());
  }
  return new ProtobufWriter().bytes(1, tensor.finish()).finish();
}

/** The `TypeProto` of a sequence of the given type. */
export function sequenceType(element: Uint8Array): Uint8Array {
  return wrap(4, wrap(1, element));
}

/** The `TypeProto` of an optional of the given type. */
export function optionalType(element: Uint8Array): Uint8Array {
  return wrap(9, wrap(1, element));
}

/** The `TypeProto` of a map. */
export function mapType(key: Datatype, value: Uint8Array): Uint8Array {
  return wrap(5, new ProtobufWriter().varint(1, elementType(key)).bytes(2, value).finish());
}

/** A `GraphProto`'s bytes, for those who write the model around it themselves. */
export function encodeGraph(init: GraphInit): Uint8Array {
  const graph = new ProtobufWriter();
  for (const node of init.nodes) {
    graph.bytes(1, encodeNode(node));
  }
  graph.bytes(2, init.name ?? 'graph');
  for (const initializer of init.initializers ?? []) {
    graph.bytes(5, encodeTensor(initializer));
  }
  for (const input of init.inputs) {
    graph.bytes(11, encodeValue(input));
  }
  for (const output of init.outputs) {
    graph.bytes(12, encodeValue(output));
  }
  return graph.finish();
}

/** A `TensorProto`'s bytes. */
export function encodeTensor(init: TensorInit): Uint8Array {
  const tensor = new ProtobufWriter();
  for (const dimension of init.shape) {
    tensor.varint(1, dimension);
  }
  tensor.varint(2, elementType(init.datatype));
  if (init.name !== undefined) {
    tensor.bytes(8, init.name);
  }
  if (init.external !== undefined) {
    for (const [key, value] of Object.entries(init.external)) {
      tensor.bytes(13, encodeEntry(key, String(value)));
    }
    return tensor.varint(14, 1).finish();
  }
  const { data } = init;
  if (data instanceof Uint8Array) {
    return tensor.bytes(9, data).finish();
  }
  if (init.datatype === 'BYTES') {
    for (const text of data ?? []) {
      tensor.bytes(6, String(text));
    }
    return tensor.finish();
  }
  return data === undefined
    ? tensor.finish()
    : tensor.bytes(9, encodeElements(init.datatype, data)).finish();
}

/** Raw little-endian elements, as in `raw_data` and in external files. */
export function encodeElements(
  datatype: Datatype | number,
  data: Exclude<TensorData, Uint8Array>,
): Uint8Array {
  const numbers = () => data.map((value) => (typeof value === 'bigint' ? Number(value) : +value));
  const integers = () => data.map((value) => BigInt(value));
  const array = (() => {
    switch (datatype) {
      case 'FP32':
        return Float32Array.from(numbers());
      case 'FP64':
        return Float64Array.from(numbers());
      case 'FP16':
        return Float16Array.from(numbers());
      case 'INT8':
        return Int8Array.from(numbers());
      case 'INT16':
        return Int16Array.from(numbers());
      case 'INT32':
        return Int32Array.from(numbers());
      case 'INT64':
        return BigInt64Array.from(integers());
      case 'UINT8':
      case 'BOOL':
        return Uint8Array.from(numbers());
      case 'UINT16':
        return Uint16Array.from(numbers());
      case 'UINT32':
        return Uint32Array.from(numbers());
      case 'UINT64':
        return BigUint64Array.from(integers());
      default:
        throw new TypeError(`Give the data of element type ${datatype} as a Uint8Array`);
    }
  })();
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function encodeFunction(init: FunctionInit, opset: number): Uint8Array {
  const writer = new ProtobufWriter().bytes(1, init.name);
  for (const input of init.inputs) {
    writer.bytes(4, input);
  }
  for (const output of init.outputs) {
    writer.bytes(5, output);
  }
  for (const node of init.nodes) {
    writer.bytes(7, encodeNode(node));
  }
  for (const [domain, version] of [['', opset] as const, [init.domain, 1] as const]) {
    writer.bytes(9, encodeOperatorSet(domain, version));
  }
  return writer.bytes(10, init.domain).finish();
}

function encodeNode(init: NodeInit): Uint8Array {
  const node = new ProtobufWriter();
  for (const input of init.inputs) {
    node.bytes(1, input);
  }
  for (const output of init.outputs) {
    node.bytes(2, output);
  }
  if (init.name !== undefined) {
    node.bytes(3, init.name);
  }
  node.bytes(4, init.op);
  for (const [name, attribute] of Object.entries(init.attributes ?? {})) {
    node.bytes(5, encodeAttribute(name, attribute));
  }
  if (init.domain !== undefined) {
    node.bytes(7, init.domain);
  }
  return node.finish();
}

function encodeAttribute(name: string, init: AttributeInit): Uint8Array {
  const attribute = new ProtobufWriter().bytes(1, name);
  if ('float' in init) {
    return attribute.float(2, init.float).varint(20, 1).finish();
  }
  if ('int' in init) {
    return attribute.varint(3, init.int).varint(20, 2).finish();
  }
  if ('string' in init) {
    return attribute.bytes(4, init.string).varint(20, 3).finish();
  }
  if ('tensor' in init) {
    return attribute.bytes(5, encodeTensor(init.tensor)).varint(20, 4).finish();
  }
  if ('graph' in init) {
    return attribute.bytes(6, encodeGraph(init.graph)).varint(20, 5).finish();
  }
  if ('sparseTensor' in init) {
    const sparse = new ProtobufWriter().bytes(1, encodeTensor(init.sparseTensor.values));
    sparse.bytes(2, encodeTensor(init.sparseTensor.indices));
    return attribute.bytes(22, sparse.finish()).varint(20, 11).finish();
  }
  if ('floats' in init) {
    init.floats.forEach((value) => attribute.float(7, value));
    return attribute.varint(20, 6).finish();
  }
  if ('ints' in init) {
    init.ints.forEach((value) => attribute.varint(8, value));
    return attribute.varint(20, 7).finish();
  }
  init.strings.forEach((value) => attribute.bytes(9, value));
  return attribute.varint(20, 8).finish();
}

function encodeValue(init: ValueInit): Uint8Array {
  const type = init.type ?? tensorType(init.datatype ?? 'FP32', init.shape);
  return new ProtobufWriter().bytes(1, init.name).bytes(2, type).finish();
}

function operatorSets(init: ModelInit): Map<string, number> {
  const sets = new Map([['', init.opset ?? 17]]);
  const visit = (nodes: readonly NodeInit[]): void => {
    for (const node of nodes) {
      const domain = node.domain ?? '';
      sets.set(domain, sets.get(domain) ?? 1);
      for (const attribute of Object.values(node.attributes ?? {})) {
        if ('graph' in attribute) {
          visit(attribute.graph.nodes);
        }
      }
    }
  };
  visit(init.nodes);
  init.functions?.forEach((f) => sets.set(f.domain, 1));
  Object.entries(init.domains ?? {}).forEach(([domain, version]) => sets.set(domain, version));
  return sets;
}

function encodeOperatorSet(domain: string, version: number): Uint8Array {
  return new ProtobufWriter().bytes(1, domain).varint(2, version).finish();
}

function encodeEntry(key: string, value: string): Uint8Array {
  return new ProtobufWriter().bytes(1, key).bytes(2, value).finish();
}

function wrap(field: number, payload: Uint8Array): Uint8Array {
  return new ProtobufWriter().bytes(field, payload).finish();
}

function elementType(datatype: Datatype | number): number {
  return typeof datatype === 'number' ? datatype : ELEMENT_TYPES[datatype];
}
