import { InvalidMessageError } from '../errors.ts';
import { UNSOLICITED_BODY_BYTES } from '../limits.ts';
import type { NamedTensor } from '../tensor.ts';
import type { TensorDescriptor } from '../types.ts';
import { TensorReceiver } from './tensor-body.ts';

/**
 * A request's body on its way in. Its first {@link UNSOLICITED_BODY_BYTES} come unasked, before there may be room for the
 * rest: until there is, they are all that is kept.
 */
export class IncomingBody {
  readonly #descriptors: readonly TensorDescriptor[];
  readonly #totalBytes: number;
  /** What came before there was room. */
  #early: Uint8Array[] = [];
  #earlyBytes = 0;
  /** Undefined until there is room. */
  #receiver: TensorReceiver | undefined;

  constructor(descriptors: readonly TensorDescriptor[], totalBytes: number) {
    this.#descriptors = descriptors;
    this.#totalBytes = totalBytes;
  }

  /** True once there is room for all of it. */
  get hasRoom(): boolean {
    return this.#receiver !== undefined;
  }

  /** Bytes that may have come by now. */
  get creditBytes(): number {
    return this.hasRoom ? this.#totalBytes : Math.min(this.#totalBytes, UNSOLICITED_BODY_BYTES);
  }

  get receivedBytes(): number {
    return this.#receiver?.receivedBytes ?? this.#earlyBytes;
  }

  /** True once all of it is here and has its room. */
  get complete(): boolean {
    return this.#receiver?.complete ?? false;
  }

  /** There is room: returns for how many bytes more the sender needs credit. Once. */
  makeRoom(): number {
    const standingBytes = this.creditBytes;
    this.#receiver = new TensorReceiver(this.#descriptors);
    for (const bytes of this.#early) this.#receiver.push(bytes);
    this.#early = [];
    return this.#totalBytes - standingBytes;
  }

  /**
   * Takes the next bytes; the caller may reuse their memory.
   *
   * @param owned true when it does not, so that they need not be copied
   * @throws {ERR_INVALID_MESSAGE} when there are more than the sender has credit for.
   */
  push(bytes: Uint8Array, owned = false): void {
    const receivedBytes = this.receivedBytes + bytes.byteLength;
    if (receivedBytes > this.creditBytes) {
      throw new InvalidMessageError(
        `caller sent ${receivedBytes} bytes of a body, expected at most the ${this.creditBytes} granted`,
      );
    }
    if (this.#receiver !== undefined) return this.#receiver.push(bytes, owned);
    this.#early.push(bytes.slice());
    this.#earlyBytes = receivedBytes;
  }

  /**
   * The tensors, once {@link complete}.
   *
   * @throws {ERR_INVALID_INPUT} when the elements of a BYTES tensor do not add up.
   */
  tensors(): NamedTensor[] {
    return this.#receiver?.tensors() ?? [];
  }
}
