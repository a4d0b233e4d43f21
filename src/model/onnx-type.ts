import type { DeclaredDimension } from '../../protocols/types.ts';
import { elementDatatype, elementTypeName } from './element-type.ts';
import type { GraphValue } from './onnx-graph.ts';
import { integer, type MessageSchema, message, messageSchema, text } from './protobuf-schema.ts';

/** Bytes of a name that is kept, twice what requests may use: the scan refuses the rest with a better sentence. */
export const MAX_TEXT_BYTES = 128 * 1024;

/** Dimensions kept of one shape, so that a shape without end takes no memory without end; the scan refuses fewer. */
export const MAX_KEPT_RANK = 256;

/** A `TypeProto` while it is read. */
export class OnnxType {
  kind: 'undeclared' | 'tensor' | 'sparse_tensor' | 'seq' | 'map' | 'optional' | 'opaque' =
    'undeclared';
  elementType = 0;
  shape: DeclaredDimension[] | undefined;
  /** Of sequence, map and optional. */
  inner: OnnxType | undefined;

  /** The member a field selects: like protobuf, the last kind wins and equal kinds merge. */
  become(kind: OnnxType['kind']): OnnxType {
    if (this.kind !== kind) {
      this.kind = kind;
      this.elementType = 0;
      this.shape = undefined;
      this.inner = undefined;
    }
    return this;
  }

  /** ONNX's notation: `tensor(float)`, `seq(map(int64,tensor(float)))`. */
  toString(): string {
    const inner = this.inner?.toString() ?? 'undeclared';
    switch (this.kind) {
      case 'tensor':
      case 'sparse_tensor':
        return `${this.kind}(${elementTypeName(this.elementType)})`;
      case 'map':
        return `map(${elementTypeName(this.elementType)},${inner})`;
      case 'seq':
      case 'optional':
        return `${this.kind}(${inner})`;
      default:
        return this.kind;
    }
  }
}

/** A `ValueInfoProto` while it is read. */
export interface ValueDraft {
  name: string;
  readonly type: OnnxType;
}

export function graphValue(draft: ValueDraft): GraphValue {
  const { name, type } = draft;
  const datatype = type.kind === 'tensor' ? elementDatatype(type.elementType) : undefined;
  return datatype === undefined
    ? { kind: 'unsupported', name, type: type.toString() }
    : { kind: 'tensor', name, datatype, shape: type.shape ?? [], ranked: type.shape !== undefined };
}

const DIMENSION = messageSchema<{ value: DeclaredDimension }>({
  // Some exporters write -1 for a free dimension; ONNX Runtime takes any size there too.
  1: integer((dimension, value) => (dimension.value = value < 0 ? null : value)),
  2: text(MAX_TEXT_BYTES, (dimension, name) => (dimension.value = name === '' ? null : name)),
});

const SHAPE = messageSchema<DeclaredDimension[]>({
  1: message(
    () => DIMENSION,
    () => ({ value: null }),
    (shape, dimension) => {
      if (shape.length < MAX_KEPT_RANK) {
        shape.push(dimension.value);
      }
    },
  ),
});

const TENSOR = messageSchema<OnnxType>({
  1: integer((type, value) => (type.elementType = value)),
  2: message(
    () => SHAPE,
    (type) => (type.shape ??= []),
  ),
});

const CONTAINER = messageSchema<OnnxType>({
  1: message(
    () => TYPE,
    (type) => (type.inner ??= new OnnxType()),
  ),
});

const MAP = messageSchema<OnnxType>({
  1: integer((type, value) => (type.elementType = value)),
  2: message(
    () => TYPE,
    (type) => (type.inner ??= new OnnxType()),
  ),
});

const TYPE: MessageSchema<OnnxType> = messageSchema<OnnxType>({
  1: message(
    () => TENSOR,
    (type) => type.become('tensor'),
  ),
  4: message(
    () => CONTAINER,
    (type) => type.become('seq'),
  ),
  5: message(
    () => MAP,
    (type) => type.become('map'),
  ),
  7: message(
    () => [],
    (type) => type.become('opaque'),
  ),
  8: message(
    () => TENSOR,
    (type) => type.become('sparse_tensor'),
  ),
  9: message(
    () => CONTAINER,
    (type) => type.become('optional'),
  ),
});

/** `ValueInfoProto`. */
export const VALUE = messageSchema<ValueDraft>({
  1: text(MAX_TEXT_BYTES, (value, name) => (value.name = name)),
  2: message(
    () => TYPE,
    (value) => value.type,
  ),
});
