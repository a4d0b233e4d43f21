import type { OutgoingBody } from '../codec/frame-stream.ts';
import { InvalidMessageError } from '../errors.ts';
import { type NamedTensor, Tensor } from '../tensor.ts';
import type { TensorDescriptor } from '../types.ts';
import { FRAME } from './frame-type.ts';

/** Below this many bytes zeroed memory, which V8 keeps in its own heap, costs less than any other. */
const SMALL_BYTES = 4096;

/** The bytes of tensors on their way out, as far as the receiver gave credit. Refers to them; copies nothing. */
export class TensorSender implements OutgoingBody {
  readonly id: number;
  readonly type = FRAME.data;
  readonly #tensors: readonly NamedTensor[];
  readonly #onTake: (sentBytes: number) => void;
  #credit: number;
  #sentBytes = 0;
  /** Index of the tensor that is sent now, and how much of it is out. */
  #index = 0;
  #offset = 0;

  /** @param onTake called with all that has left whenever bytes leave: the transport moves, so the other side lives. */
  constructor(
    id: number,
    tensors: readonly NamedTensor[],
    credit: number,
    onTake: (sentBytes: number) => void = () => {},
  ) {
    this.id = id;
    this.#tensors = tensors;
    this.#credit = credit;
    this.#onTake = onTake;
    this.#skipEmpty();
  }

  get done(): boolean {
    return this.#index >= this.#tensors.length;
  }

  grant(bytes: number): void {
    this.#credit += bytes;
  }

  take(maxBytes: number): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    let room = Math.min(maxBytes, this.#credit);
    while (room > 0 && !this.done) {
      const bytes = this.#current;
      const piece = bytes.subarray(this.#offset, this.#offset + room);
      pieces.push(piece);
      room -= piece.byteLength;
      this.#credit -= piece.byteLength;
      this.#sentBytes += piece.byteLength;
      this.#offset += piece.byteLength;
      this.#skipEmpty();
    }
    if (pieces.length > 0) this.#onTake(this.#sentBytes);
    return pieces;
  }

  get #current(): Uint8Array {
    return this.#tensors[this.#index]?.tensor.bytes ?? new Uint8Array();
  }

  #skipEmpty(): void {
    while (!this.done && this.#offset >= this.#current.byteLength) {
      this.#index += 1;
      this.#offset = 0;
    }
  }
}

/** Tensors on their way in: each gets memory of its own, so that its elements are aligned, unless it stays where it came. */
export class TensorReceiver {
  readonly #descriptors: readonly TensorDescriptor[];
  readonly #buffers: Uint8Array[] = [];
  readonly #totalBytes: number;
  #receivedBytes = 0;
  #index = 0;
  #offset = 0;

  /** Allocates as the bytes come; the caller has checked the descriptors against its bounds. */
  constructor(descriptors: readonly TensorDescriptor[]) {
    this.#descriptors = descriptors;
    let totalBytes = 0;
    for (const { byteLength } of descriptors) totalBytes += byteLength;
    this.#totalBytes = totalBytes;
  }

  get complete(): boolean {
    return this.#receivedBytes === this.#totalBytes;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  /**
   * Takes the next bytes. A tensor that is whole among bytes that are `owned` stays where it is; all others are copied.
   *
   * @throws {ERR_INVALID_MESSAGE} when there are more bytes than the header said.
   */
  push(bytes: Uint8Array, owned = false): void {
    let offset = 0;
    while (offset < bytes.byteLength) {
      const byteLength = this.#descriptors[this.#index]?.byteLength;
      if (byteLength === undefined) {
        throw new InvalidMessageError(
          `body has ${this.#receivedBytes + bytes.byteLength - offset} bytes, expected ${this.#totalBytes}`,
        );
      }
      if (owned && this.#offset === 0 && byteLength <= bytes.byteLength - offset) {
        // Not `subarray`: of a Buffer that is a Buffer, whose `slice` is no copy.
        this.#buffers[this.#index] = new Uint8Array(
          bytes.buffer,
          bytes.byteOffset + offset,
          byteLength,
        );
        offset += byteLength;
        this.#receivedBytes += byteLength;
        this.#index += 1;
        continue;
      }
      const buffer = (this.#buffers[this.#index] ??= allocate(byteLength));
      const pieceBytes = Math.min(bytes.byteLength - offset, buffer.byteLength - this.#offset);
      const whole = pieceBytes === bytes.byteLength;
      buffer.set(whole ? bytes : bytes.subarray(offset, offset + pieceBytes), this.#offset);
      offset += pieceBytes;
      this.#offset += pieceBytes;
      this.#receivedBytes += pieceBytes;
      if (this.#offset < buffer.byteLength) continue;
      this.#index += 1;
      this.#offset = 0;
    }
  }

  /**
   * The tensors, once {@link complete}.
   *
   * @throws {ERR_INVALID_INPUT} when the elements of a BYTES tensor do not add up.
   */
  tensors(): NamedTensor[] {
    return this.#descriptors.map(({ name, datatype, shape }, index) => ({
      name,
      tensor: new Tensor(datatype, shape, this.#buffers[index] ?? new Uint8Array()),
    }));
  }
}

/** Memory of its own for a tensor, never a piece of Node's pool: whoever gets the tensor may hand its buffer on. */
function allocate(byteLength: number): Uint8Array {
  if (byteLength <= SMALL_BYTES) return new Uint8Array(byteLength);
  // Not zeroed: a body that is not complete is never read.
  return new Uint8Array(Buffer.allocUnsafeSlow(byteLength).buffer);
}
