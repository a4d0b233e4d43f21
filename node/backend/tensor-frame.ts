import { datatypeCode, datatypeFromCode } from '../../protocols/datatype.ts';
import { InvalidMessageError } from '../../protocols/errors.ts';
import { MAX_RANK, MAX_TENSORS } from '../../protocols/limits.ts';
import { Tensor } from '../../protocols/tensor.ts';

/** A tensor with the index of the model input or output it is for: both ends know the names. */
export interface IndexedTensor {
  readonly index: number;
  readonly tensor: Tensor;
}

/**
 * The payload of a run or a result, every part a multiple of 8 bytes long so that each tensor is aligned:
 *
 * ```
 * [u32 count of numbers][u32 count of tensors]
 * [f64 …numbers]
 * per tensor: [u32 index][u16 datatype][u16 rank][f64 byte length][f64 …dimensions]
 * per tensor: data, padded to 8
 * ```
 */
export interface TensorFrame {
  readonly numbers: readonly number[];
  readonly tensors: readonly IndexedTensor[];
}

const PADDING = new Uint8Array(8);

/** The pieces of a payload in their order; the tensors' bytes are referred to, not copied. */
export function encodeTensorFrame({ numbers, tensors }: TensorFrame): Uint8Array[] {
  const entryBytes = tensors.reduce((sum, { tensor }) => sum + 16 + 8 * tensor.shape.length, 0);
  const head = new Uint8Array(8 + 8 * numbers.length + entryBytes);
  const view = new DataView(head.buffer);
  view.setUint32(0, numbers.length, true);
  view.setUint32(4, tensors.length, true);
  let offset = 8;
  for (const number of numbers) {
    view.setFloat64(offset, number, true);
    offset += 8;
  }
  const pieces: Uint8Array[] = [head];
  for (const { index, tensor } of tensors) {
    view.setUint32(offset, index, true);
    view.setUint16(offset + 4, datatypeCode(tensor.datatype), true);
    view.setUint16(offset + 6, tensor.shape.length, true);
    view.setFloat64(offset + 8, tensor.bytes.byteLength, true);
    offset += 16;
    for (const dimension of tensor.shape) {
      view.setFloat64(offset, dimension, true);
      offset += 8;
    }
    if (tensor.bytes.byteLength > 0) pieces.push(tensor.bytes);
    const padding = -tensor.bytes.byteLength & 7;
    if (padding > 0) pieces.push(PADDING.subarray(0, padding));
  }
  return pieces;
}

/**
 * Reads a payload; the tensors are views into it.
 *
 * @throws {ERR_INVALID_MESSAGE} when it is not a tensor frame.
 * @throws {ERR_INVALID_INPUT} when a tensor's bytes do not fill its shape.
 */
export function decodeTensorFrame(payload: Uint8Array<ArrayBuffer>): TensorFrame {
  const reader = new Reader(payload);
  const numberCount = reader.uint32();
  const tensorCount = reader.uint32();
  if (numberCount > MAX_TENSORS || tensorCount > MAX_TENSORS) {
    throw new InvalidMessageError(
      `tensor frame has ${numberCount} numbers and ${tensorCount} tensors, expected at most ${MAX_TENSORS}`,
    );
  }
  const numbers = Array.from({ length: numberCount }, () => reader.float64());
  const entries = Array.from({ length: tensorCount }, () => readEntry(reader));
  const tensors = entries.map(({ index, datatype, byteLength, shape }) => ({
    index,
    tensor: new Tensor(datatype, shape, reader.bytes(byteLength)),
  }));
  return { numbers, tensors };
}

function readEntry(reader: Reader) {
  const index = reader.uint32();
  const code = reader.uint16();
  const rank = reader.uint16();
  const byteLength = reader.float64();
  const datatype = datatypeFromCode(code);
  if (datatype === undefined || rank > MAX_RANK) {
    throw new InvalidMessageError(`tensor frame has datatype ${code} and rank ${rank}`);
  }
  const shape = Array.from({ length: rank }, () => reader.float64());
  return { index, datatype, byteLength, shape };
}

class Reader {
  readonly #payload: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  #offset = 0;

  constructor(payload: Uint8Array<ArrayBuffer>) {
    this.#payload = payload;
    this.#view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  }

  uint16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  float64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  bytes(byteLength: number): Uint8Array {
    const start = this.#take(byteLength);
    // Not `& ~7`: offsets may pass 2^31.
    this.#offset = Math.min(Math.ceil(this.#offset / 8) * 8, this.#payload.byteLength);
    return this.#payload.subarray(start, start + byteLength);
  }

  #take(byteLength: number): number {
    const start = this.#offset;
    const left = this.#payload.byteLength - start;
    if (!Number.isSafeInteger(byteLength) || byteLength < 0 || byteLength > left) {
      throw new InvalidMessageError(
        `tensor frame ends at byte ${this.#payload.byteLength}, expected ${byteLength} more after ${start}`,
      );
    }
    this.#offset += byteLength;
    return start;
  }
}
