import { tensorBytes } from './element-type.ts';
import type { TensorInfo } from './onnx-graph.ts';
import { MAX_KEPT_RANK, MAX_TEXT_BYTES } from './onnx-type.ts';
import { integer, message, messageSchema, span, text } from './protobuf-schema.ts';

/** A `StringStringEntryProto`. */
export interface TextEntry {
  key: string;
  value: string;
}

/** A `TensorProto` while it is read. */
export class TensorDraft {
  readonly role: TensorInfo['role'];
  name = '';
  elementType = 0;
  readonly shape: number[] = [];
  external = false;
  readonly externalData = new Map<string, string>();
  encoding: TensorInfo['encoding'] = 'none';
  offset = 0;
  storedBytes = 0;

  constructor(role: TensorInfo['role']) {
    this.role = role;
  }

  /** Dimensions past {@link MAX_KEPT_RANK} are dropped: the scan refuses far fewer. */
  addDimension(size: number): void {
    if (this.shape.length < MAX_KEPT_RANK) {
      this.shape.push(size);
    }
  }

  typed(offset: number, length: number): void {
    if (this.encoding !== 'typed') {
      this.encoding = 'typed';
      this.offset = offset;
      this.storedBytes = 0;
    }
    this.storedBytes += length;
  }

  raw(offset: number, length: number): void {
    this.encoding = 'raw';
    this.offset = offset;
    this.storedBytes = length;
  }
}

/**
 * The tensor that a draft amounts to.
 *
 * @returns a string that names the fault when its external location has no readable offset or length
 */
export function tensorInfo(draft: TensorDraft): TensorInfo | string {
  const { name, elementType, shape, role, encoding, offset, storedBytes } = draft;
  const declaredBytes = tensorBytes(elementType, shape);
  const common = { name, elementType, shape, role };
  if (!draft.external) {
    return {
      ...common,
      encoding,
      byteLength: declaredBytes ?? storedBytes,
      location: { kind: 'inline', offset, storedBytes },
    };
  }
  const at = parseBytes(draft.externalData.get('offset') ?? '0');
  const lengthText = draft.externalData.get('length');
  const length = lengthText === undefined ? null : parseBytes(lengthText);
  if (at === undefined || length === undefined) {
    return `tensor '${name}' has external data at offset '${draft.externalData.get('offset') ?? ''}', length '${lengthText ?? ''}', expected whole numbers of bytes`;
  }
  return {
    ...common,
    encoding: 'raw',
    byteLength: declaredBytes ?? length ?? 0,
    location: {
      kind: 'external',
      file: draft.externalData.get('location') ?? '',
      offset: at,
      length,
    },
  };
}

function parseBytes(digits: string): number | undefined {
  const value = /^\d{1,16}$/u.test(digits) ? Number(digits) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Bytes of an external file's name, offset or length; a path longer than this is no plain name anyhow. */
const MAX_EXTERNAL_TEXT_BYTES = 4096;

const EXTERNAL_ENTRY = messageSchema<TextEntry>({
  1: text(MAX_EXTERNAL_TEXT_BYTES, (entry, key) => (entry.key = key)),
  2: text(MAX_EXTERNAL_TEXT_BYTES, (entry, value) => (entry.value = value)),
});

const TYPED_DATA = span<TensorDraft>((tensor, offset, length) => tensor.typed(offset, length));

/** `TensorProto`. */
export const TENSOR = messageSchema<TensorDraft>({
  1: integer((tensor, size) => tensor.addDimension(size)),
  2: integer((tensor, type) => (tensor.elementType = type)),
  4: TYPED_DATA,
  5: TYPED_DATA,
  6: TYPED_DATA,
  7: TYPED_DATA,
  8: text(MAX_TEXT_BYTES, (tensor, name) => (tensor.name = name)),
  9: span((tensor, offset, length) => tensor.raw(offset, length)),
  10: TYPED_DATA,
  11: TYPED_DATA,
  13: message(
    () => EXTERNAL_ENTRY,
    (): TextEntry => ({ key: '', value: '' }),
    (tensor, { key, value }) => {
      // Only these three matter to us; others could be without number.
      if (key === 'location' || key === 'offset' || key === 'length') {
        tensor.externalData.set(key, value);
      }
    },
  ),
  14: integer((tensor, location) => (tensor.external = location === 1)),
});
