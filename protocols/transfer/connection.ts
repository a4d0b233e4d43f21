import { once } from 'node:events';
import type { Stream } from '@libp2p/interface';
import { pipe } from 'it-pipe';
import type { Uint8ArrayList } from 'uint8arraylist';
import { digestText, sameBytes, sha256 } from '../digest.ts';
import {
  ConnectionError,
  CorruptError,
  InvalidMessageError,
  isSwarmError,
  LimitError,
} from '../errors.ts';
import { errorFromFailure, type WireFailure } from '../status.ts';
import type { AbortOptions } from '../types.ts';
import type { Holdings } from './holdings.ts';
import {
  decodeAnswer,
  encodeCancel,
  encodeInquire,
  encodeWant,
  MAX_ANSWER_MESSAGE_BYTES,
  MAX_BLOCK_BYTES,
  MAX_WANTS,
  type TransferAnswer,
} from './message.ts';
import { readMessages, sendMessage } from './message-stream.ts';

/** Milliseconds a peer may send nothing while it is asked for something. */
export const DEFAULT_SILENCE_TIMEOUT_MS = 10_000;

const CLOSE_TIMEOUT_MS = 2_000;

export interface TransferConnectionInit {
  /** Whose stream it is, for messages and `details.peer`. @default 'a peer' */
  readonly peer?: string | undefined;
  /** @default 10000 */
  readonly silenceTimeoutMs?: number | undefined;
}

interface Pending {
  readonly digest: Uint8Array;
  readonly maxBytes: number;
  /** Allocated when the first piece tells the size; filled up to `received`. */
  block: Uint8Array | undefined;
  received: number;
  readonly resolve: (block: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

interface Inquiry {
  readonly resolve: (holdings: Holdings) => void;
  readonly reject: (error: unknown) => void;
}

/** The asking end: many blocks at once over one stream, each checked against its digest before it is handed out. */
export class TransferConnection {
  readonly #stream: Stream;
  readonly #peer: string;
  readonly #silenceTimeoutMs: number;
  readonly #pending = new Map<number, Pending>();
  /** Open inquiries; one that was given up stays until its answer came. */
  readonly #inquiries = new Map<number, Inquiry>();
  #lastId = 0;
  /** Bytes that may still come for requests that were given up. */
  #strayBytes = 0;
  /** Refusals that may still come for them. */
  #strayFailures = 0;
  #silence: NodeJS.Timeout | undefined;
  #failure: Error | undefined;
  /** Settles when the peer has ended its side. Never rejects. */
  readonly #reading: Promise<void>;

  constructor(stream: Stream, init: TransferConnectionInit = {}) {
    this.#stream = stream;
    this.#peer = init.peer ?? 'a peer';
    this.#silenceTimeoutMs = init.silenceTimeoutMs ?? DEFAULT_SILENCE_TIMEOUT_MS;
    this.#reading = this.#run();
  }

  get closed(): boolean {
    return this.#failure !== undefined;
  }

  /** Requests that are not answered yet. */
  get inFlight(): number {
    return this.#pending.size;
  }

  /**
   * The block with this sha256 digest, verified.
   *
   * @throws {ERR_NOT_FOUND} when the peer does not have it.
   * @throws {ERR_CORRUPT} when what it sent has another digest; `details.peer` says who.
   * @throws {ERR_CONNECTION} when the stream ends or the peer goes silent; {ERR_INVALID_MESSAGE} when it breaks the protocol.
   * @throws {ERR_LIMIT} when it is larger than `maxBytes`, or too many requests are open.
   */
  async fetch(
    digest: Uint8Array,
    maxBytes: number,
    options: AbortOptions = {},
  ): Promise<Uint8Array> {
    const { signal } = options;
    const id = this.#nextId(signal);
    const bound = Math.min(maxBytes, MAX_BLOCK_BYTES);
    const onAbort = (): void => this.#cancel(id, signal?.reason);
    try {
      return await new Promise((resolve, reject) => {
        this.#pending.set(id, {
          digest,
          maxBytes: bound,
          block: undefined,
          received: 0,
          resolve,
          reject,
        });
        signal?.addEventListener('abort', onAbort);
        if (this.#silence === undefined) this.#listen();
        sendMessage(this.#stream, encodeWant(id, bound, digest));
      });
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#settled(id);
    }
  }

  /**
   * Which chunks of a version the peer has; the version by the digest of its manifest. Answered at once, also while the peer
   * has much to send.
   *
   * @throws {ERR_NOT_FOUND} when the peer knows nothing of the version; otherwise as {@link fetch}.
   */
  async holdings(version: Uint8Array, { signal }: AbortOptions = {}): Promise<Holdings> {
    const id = this.#nextId(signal);
    let onAbort: (() => void) | undefined;
    try {
      return await new Promise((resolve, reject) => {
        onAbort = () => reject(signal?.reason);
        signal?.addEventListener('abort', onAbort);
        this.#inquiries.set(id, { resolve, reject });
        if (this.#silence === undefined) this.#listen();
        sendMessage(this.#stream, encodeInquire(id, version));
      });
    } finally {
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
    }
  }

  #nextId(signal: AbortSignal | undefined): number {
    signal?.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#pending.size + this.#inquiries.size >= MAX_WANTS) {
      throw new LimitError(`${MAX_WANTS} requests for blocks are open to ${this.#peer}`);
    }
    this.#lastId = (this.#lastId + 1) >>> 0;
    return this.#lastId;
  }

  /** Gives up what is open and ends the stream. Never rejects. */
  async close(): Promise<void> {
    if (this.#failure !== undefined) return;
    const open = this.#pending.size + this.#inquiries.size > 0;
    this.#fail(new ConnectionError(`transfer stream to ${this.#peer} was closed`), open);
    if (open) return;
    const signal = AbortSignal.timeout(CLOSE_TIMEOUT_MS);
    try {
      await this.#stream.close({ signal });
      signal.throwIfAborted();
      // A peer that keeps its own side open would keep the stream for as long.
      const late = once(signal, 'abort').then(() => signal.throwIfAborted());
      await Promise.race([this.#reading, late]);
    } catch (error) {
      this.#stream.abort(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #run(): Promise<void> {
    try {
      await pipe(
        this.#stream,
        (bytes) => readMessages(bytes, MAX_ANSWER_MESSAGE_BYTES),
        (messages) => this.#receive(messages),
      );
      this.#fail(new ConnectionError(`${this.#peer} ended the transfer stream`), true);
    } catch (error) {
      this.#fail(error, true);
      // Also after `close`: what a peer still sends must not lie in a stream that nobody reads.
      this.#stream.abort(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #receive(messages: AsyncIterable<Uint8ArrayList>): Promise<void> {
    for await (const message of messages) {
      this.#silence?.refresh();
      this.#take(decodeAnswer(message));
    }
  }

  #take(answer: TransferAnswer): void {
    const inquiry = this.#inquiries.get(answer.id);
    if (inquiry !== undefined && answer.type !== 'piece') {
      this.#inquiries.delete(answer.id);
      if (answer.type === 'holdings') inquiry.resolve(answer.holdings);
      else inquiry.reject(this.#refusal(answer.failure));
      this.#settled(answer.id);
      return;
    }
    if (answer.type === 'holdings') {
      throw new InvalidMessageError(`holdings for request ${answer.id}, which did not ask for any`);
    }
    const pending = this.#pending.get(answer.id);
    if (pending === undefined) this.#takeStray(answer);
    else if (answer.type === 'failed') pending.reject(this.#refusal(answer.failure));
    else this.#takePiece(pending, answer);
    if (answer.type === 'failed') this.#settled(answer.id);
  }

  #takePiece(pending: Pending, piece: TransferAnswer & { type: 'piece' }): void {
    const { totalBytes, offset, data } = piece;
    pending.block ??= allocate(pending, totalBytes);
    const { block } = pending;
    const wrong =
      totalBytes !== block.byteLength ||
      offset !== pending.received ||
      data.byteLength > totalBytes - offset ||
      (data.byteLength === 0 && totalBytes > 0);
    if (wrong) {
      throw new InvalidMessageError(
        `piece of ${data.byteLength} bytes at ${offset} of ${totalBytes}, expected one at ${pending.received} of ${block.byteLength}`,
      );
    }
    for (const part of data) {
      block.set(part, pending.received);
      pending.received += part.byteLength;
    }
    if (pending.received < totalBytes) return;
    this.#settled(piece.id);
    if (sameBytes(sha256(block), pending.digest)) pending.resolve(block);
    else {
      pending.reject(
        new CorruptError(
          `block ${digestText(pending.digest)} from ${this.#peer} hashes to ${digestText(sha256(block))}`,
          { details: { peer: this.#peer, digest: digestText(pending.digest) } },
        ),
      );
    }
  }

  /** What a cancel crossed on its way may still come, but no more than that. */
  #takeStray(answer: TransferAnswer & { type: 'piece' | 'failed' }): void {
    if (answer.type === 'failed') this.#strayFailures -= 1;
    else this.#strayBytes -= Math.max(1, answer.data.byteLength);
    if (this.#strayBytes < 0 || this.#strayFailures < 0) {
      throw new InvalidMessageError(`answer to request ${answer.id}, which is not open`);
    }
  }

  #refusal(failure: WireFailure): Error {
    return errorFromFailure(failure, { peer: this.#peer });
  }

  #cancel(id: number, reason: unknown): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#strayBytes += pending.maxBytes - pending.received;
    this.#strayFailures += 1;
    pending.reject(reason);
    this.#settled(id);
    try {
      sendMessage(this.#stream, encodeCancel(id));
    } catch {
      // A stream that is closed has nothing to cancel.
    }
  }

  #settled(id: number): void {
    this.#pending.delete(id);
    if (this.#pending.size + this.#inquiries.size > 0) return;
    clearTimeout(this.#silence);
    // `refresh` would wake a cleared timer.
    this.#silence = undefined;
  }

  #listen(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      const text = `${this.#peer} sent nothing for ${this.#silenceTimeoutMs} ms`;
      this.#fail(new ConnectionError(text, { details: { peer: this.#peer } }), true);
    }, this.#silenceTimeoutMs);
    this.#silence.unref();
  }

  #fail(cause: unknown, reset: boolean): void {
    if (this.#failure !== undefined) return;
    const failure = isSwarmError(cause)
      ? cause
      : new ConnectionError(`transfer stream to ${this.#peer} failed`, { cause });
    this.#failure = failure;
    clearTimeout(this.#silence);
    for (const { reject } of this.#pending.values()) reject(failure);
    this.#pending.clear();
    for (const { reject } of this.#inquiries.values()) reject(failure);
    this.#inquiries.clear();
    if (reset) this.#stream.abort(failure);
  }
}

function allocate(pending: Pending, totalBytes: number): Uint8Array {
  if (totalBytes > pending.maxBytes) {
    throw new InvalidMessageError(
      `block of ${totalBytes} bytes, expected at most the ${pending.maxBytes} that were asked for`,
    );
  }
  // Not cleared first: pieces fill it without gaps, and it is handed out only when its last byte has come and its hash is right.
  return new Uint8Array(Buffer.allocUnsafeSlow(totalBytes).buffer);
}
