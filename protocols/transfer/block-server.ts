import type { Uint8ArrayList } from 'uint8arraylist';
import {
  BusyError,
  ConnectionError,
  InvalidMessageError,
  LimitError,
  NotFoundError,
} from '../errors.ts';
import { digestText } from '../digest.ts';
import { failureFromError } from '../status.ts';
import type { BlockSource } from './block-source.ts';
import { type Holdings, WHOLE } from './holdings.ts';
import {
  encodeFailed,
  encodeHoldings,
  encodePiece,
  MAX_PIECE_BYTES,
  MAX_WANTS,
  type TransferRequest,
} from './message.ts';
import type { RateLimiter } from './rate-limiter.ts';
import type { UploadSlots } from './upload-slots.ts';

/** Milliseconds after which a block that another peer was given is worth asking for again. */
const GIVEN_RETRY_MS = 2_000;

/** Blocks read ahead of the one being sent, so that the disk never makes the network wait. */
const READ_AHEAD = 2;

export interface BlockServerInit {
  /** Who asks. */
  readonly peer: string;
  readonly slots: UploadSlots;
  readonly limit: RateLimiter | undefined;
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

interface Inquiry {
  readonly id: number;
  readonly version: Uint8Array;
}

/**
 * Answers the wants of one stream in their order: reads a few blocks ahead, sends one at a time. Inquiries are answered
 * between two pieces, also while a block waits for its turn: the asker hears that this peer lives.
 */
export class BlockServer {
  readonly #source: BlockSource;
  readonly #init: BlockServerInit;
  /** In order of arrival; a want leaves when its last piece is out or it is cancelled. */
  readonly #wants: Want[] = [];
  readonly #inquiries: Inquiry[] = [];
  readonly #stopping = new AbortController();
  #ended = false;
  #failure: unknown;
  #wake: (() => void) | undefined;
  /** Ends the wait for a block that nobody will take, or until an inquiry is answered. */
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
        yield* this.#answerInquiries();
        const want = this.#wants[0];
        if (want !== undefined) {
          yield* this.#answer(want);
          this.#readAhead();
        } else if (this.#inquiries.length > 0) continue;
        else if (this.#ended) return;
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
    if (this.#wants.length + this.#inquiries.length >= MAX_WANTS) {
      throw new LimitError(`peer has more than ${MAX_WANTS} requests for blocks open`);
    }
    if ([...this.#wants, ...this.#inquiries].some(({ id }) => id === request.id)) {
      throw new InvalidMessageError(`transfer request ${request.id} is open already`);
    }
    if (request.type === 'inquire') {
      this.#inquiries.push(request);
      this.#giveUp?.();
      this.#wake?.();
      return;
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
    await this.#init.slots.acquire(this.#init.peer);
    const { signal } = this.#stopping;
    try {
      if (want.cancelled || signal.aborted) return new ConnectionError('cancelled');
      if (!this.#promise(want)) {
        const text = `block ${digestText(want.digest)} was just given to another peer`;
        return new BusyError(text, GIVEN_RETRY_MS);
      }
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

  /** False when bandwidth is limited and another peer was given the same block just now. */
  #promise({ digest }: Want): boolean {
    const { limit, peer } = this.#init;
    return limit?.given.promise(digestText(digest), peer, performance.now()) ?? true;
  }

  /** What was read for a want; undefined when the peer broke off or inquired before. */
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
    // The caller looks at what happened, and comes back for the block.
    if (block === undefined) return;
    const { peer, slots, limit } = this.#init;
    const pieceBytes = limit?.pieceBytes ?? MAX_PIECE_BYTES;
    try {
      if (want.cancelled) return;
      if (block instanceof Error) {
        yield encodeFailed(want.id, failureFromError(block));
        return;
      }
      let offset = 0;
      do {
        await limit?.take(peer, Math.min(pieceBytes, block.byteLength - offset), offset > 0);
        yield encodePiece(want.id, block, offset, pieceBytes);
        offset += pieceBytes;
        yield* this.#answerInquiries();
      } while (offset < block.byteLength && !want.cancelled);
      if (!want.cancelled) limit?.given.sent(digestText(want.digest), peer, performance.now());
    } finally {
      // In one step: a request that came in between would read the block again, for a slot that nobody gives back.
      this.#wants.shift();
      slots.release(peer);
      if (want.cancelled) limit?.given.forget(digestText(want.digest), peer);
    }
  }

  async *#answerInquiries(): AsyncGenerator<Uint8Array> {
    // The answer leaves before the inquiry does: until then its id is taken.
    for (let inquiry = this.#inquiries[0]; inquiry !== undefined; inquiry = this.#inquiries[0]) {
      yield await this.#holdingsAnswer(inquiry);
      this.#inquiries.shift();
    }
  }

  async #holdingsAnswer({ id, version }: Inquiry): Promise<Uint8Array> {
    try {
      const holdings = await this.#holdings(version);
      if (holdings !== undefined) return encodeHoldings(id, holdings);
      const text = `version ${digestText(version)} is not here`;
      return encodeFailed(id, failureFromError(new NotFoundError(text)));
    } catch (error) {
      return encodeFailed(id, failureFromError(error));
    }
  }

  async #holdings(version: Uint8Array): Promise<Holdings | undefined> {
    const { signal } = this.#stopping;
    if (this.#source.holdings !== undefined) return this.#source.holdings(version, { signal });
    return (await this.#source.read(version, { signal })) === undefined ? undefined : WHOLE;
  }

  /** Gives back the slot of a want that will not be answered. */
  #dispose(want: Want): void {
    const { slots, limit, peer } = this.#init;
    limit?.given.forget(digestText(want.digest), peer);
    void want.read?.then(() => slots.release(peer));
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
