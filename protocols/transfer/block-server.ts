import type { Uint8ArrayList } from 'uint8arraylist';
import { ConnectionError, InvalidMessageError, LimitError, NotFoundError } from '../errors.ts';
import { digestText } from '../digest.ts';
import { failureFromError } from '../status.ts';
import type { BlockSource } from './block-source.ts';
import {
  encodeFailed,
  encodePiece,
  MAX_PIECE_BYTES,
  MAX_WANTS,
  type TransferRequest,
} from './message.ts';
import type { UploadSlots } from './upload-slots.ts';

/** Blocks read ahead of the one being sent, so that the disk never makes the network wait. */
const READ_AHEAD = 2;

export interface BlockServerInit {
  readonly slots: UploadSlots;
  readonly idleTimeoutMs: number;
}

interface Want {
  readonly id: number;
  readonly maxBytes: number;
  readonly digest: Uint8Array;
  cancelled: boolean;
  /** Begun once the want is among the first in line. Never rejects. */
  read: Promise<Uint8Array | Error> | undefined;
}

/** Answers the requests of one stream in their order: reads a few blocks ahead, sends one at a time. */
export class BlockServer {
  readonly #source: BlockSource;
  readonly #init: BlockServerInit;
  /** In order of arrival; a want leaves when its last piece is out or it is cancelled. */
  readonly #wants: Want[] = [];
  readonly #stopping = new AbortController();
  #ended = false;
  #failure: unknown;
  #wake: (() => void) | undefined;
  /** Ends the wait for a block that nobody will take. */
  #giveUp: (() => void) | undefined;

  constructor(source: BlockSource, init: BlockServerInit) {
    this.#source = source;
    this.#init = init;
  }

  /**
   * Turns requests into answers; ends when the requests have and all are answered.
   *
   * @throws {ERR_INVALID_MESSAGE | ERR_LIMIT} when the peer breaks the protocol; {ERR_CONNECTION} when it is idle too long.
   */
  async *serve(
    requests: AsyncIterable<TransferRequest>,
  ): AsyncGenerator<Uint8Array | Uint8ArrayList> {
    void this.#receive(requests);
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure;
        const want = this.#wants[0];
        if (want !== undefined) {
          yield* this.#answer(want);
          this.#readAhead();
        } else if (this.#ended) return;
        else await this.#nextRequest();
      }
    } finally {
      this.#stopping.abort();
      for (const want of this.#wants) this.#dispose(want);
    }
  }

  async #receive(requests: AsyncIterable<TransferRequest>): Promise<void> {
    try {
      // Taken in as fast as they come: the number of wants is the bound, and one too many ends the stream.
      for await (const request of requests) this.#take(request);
    } catch (error) {
      this.#failure = error;
      this.#giveUp?.();
    }
    this.#ended = true;
    this.#wake?.();
  }

  #take(request: TransferRequest): void {
    if (request.type === 'cancel') {
      const want = this.#wants.find(({ id }) => id === request.id);
      if (want !== undefined) want.cancelled = true;
      return;
    }
    if (this.#wants.length >= MAX_WANTS) {
      throw new LimitError(`peer has more than ${MAX_WANTS} requests for blocks open`);
    }
    if (this.#wants.some(({ id }) => id === request.id)) {
      throw new InvalidMessageError(`transfer request ${request.id} is open already`);
    }
    this.#wants.push({ ...request, cancelled: false, read: undefined });
    this.#readAhead();
    this.#wake?.();
  }

  #readAhead(): void {
    if (this.#stopping.signal.aborted) return;
    for (const want of this.#wants.slice(0, READ_AHEAD)) want.read ??= this.#read(want);
  }

  async #read(want: Want): Promise<Uint8Array | Error> {
    await this.#init.slots.acquire();
    const { signal } = this.#stopping;
    try {
      if (want.cancelled || signal.aborted) return new ConnectionError('cancelled');
      const block = await this.#source.read(want.digest, { signal });
      if (block === undefined) {
        return new NotFoundError(`block ${digestText(want.digest)} is not here`);
      }
      if (block.byteLength <= want.maxBytes) return block;
      return new LimitError(
        `block ${digestText(want.digest)} has ${block.byteLength} bytes, expected at most ${want.maxBytes}`,
      );
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** What was read for a want; undefined when the peer broke off before. */
  #blockOf(want: Want): Promise<Uint8Array | Error | undefined> {
    if (this.#failure !== undefined) return Promise.resolve(undefined);
    want.read ??= this.#read(want);
    const { read } = want;
    return new Promise((resolve) => {
      this.#giveUp = () => resolve(undefined);
      void read.then(resolve);
    });
  }

  async *#answer(want: Want): AsyncGenerator<Uint8Array | Uint8ArrayList> {
    const block = await this.#blockOf(want);
    if (block === undefined) return;
    try {
      if (want.cancelled) return;
      if (block instanceof Error) {
        yield encodeFailed(want.id, failureFromError(block));
        return;
      }
      let offset = 0;
      do {
        yield encodePiece(want.id, block, offset);
        offset += MAX_PIECE_BYTES;
      } while (offset < block.byteLength && !want.cancelled);
    } finally {
      // In one step: a request that came in between would read the block again, for a slot that nobody gives back.
      this.#wants.shift();
      this.#init.slots.release();
    }
  }

  /** Gives back the slot of a want that will not be answered. */
  #dispose(want: Want): void {
    void want.read?.then(() => this.#init.slots.release());
  }

  async #nextRequest(): Promise<void> {
    const { idleTimeoutMs } = this.#init;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      this.#wake = resolve;
      timer = setTimeout(() => {
        reject(new ConnectionError(`peer asked for nothing for ${idleTimeoutMs} ms`));
      }, idleTimeoutMs);
    }).finally(() => {
      clearTimeout(timer);
      this.#wake = undefined;
    });
  }
}
