import type { Uint8ArrayList } from 'uint8arraylist';
import {
  BusyError,
  ConnectionError,
  InvalidMessageError,
  LimitError,
  NotFoundError,
} from '../errors.ts';
import { digestText } from '../digest.ts';
import { Pace } from '../pace.ts';
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
import type { SlotHolder, UploadSlots } from './upload-slots.ts';

/** Milliseconds after which a block that another peer was given is worth asking for again. */
const GIVEN_RETRY_MS = 2_000;

/** Milliseconds after which a peer that was too slow for others who waited may ask again. */
const SLOW_RETRY_MS = 5_000;

/** Blocks read ahead of the one being sent, so that the disk never makes the network wait. */
const READ_AHEAD = 2;

export interface BlockServerInit {
  /** Who asks. */
  readonly peer: string;
  readonly slots: UploadSlots;
  readonly limit: RateLimiter | undefined;
  readonly idleTimeoutMs: number;
  /** Bytes that were handed out and that the peer has not taken yet. */
  readonly unsentBytes: () => number;
}

interface Want {
  readonly id: number;
  readonly maxBytes: number;
  readonly digest: Uint8Array;
  cancelled: boolean;
  /** True while a slot is held for it. */
  slot: boolean;
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
export class BlockServer implements SlotHolder {
  readonly peer: string;
  readonly pace: Pace;
  readonly #source: BlockSource;
  readonly #init: BlockServerInit;
  /** In order of arrival; a want leaves when its last piece is out or it is cancelled. */
  readonly #wants: Want[] = [];
  readonly #inquiries: Inquiry[] = [];
  readonly #stopping = new AbortController();
  #ended = false;
  #failure: unknown;
  #sentBytes = 0;
  /** Why the peer has no slots until it has taken what is on its way. */
  #slow: BusyError | undefined;
  #wake: (() => void) | undefined;
  /** Ends the wait for a block that nobody will take, or until an inquiry is answered. */
  #giveUp: (() => void) | undefined;

  constructor(source: BlockSource, init: BlockServerInit) {
    this.#source = source;
    this.#init = init;
    this.peer = init.peer;
    this.pace = new Pace(init.slots.pace);
  }

  /** Bytes that the peer has taken. */
  movedBytes(): number {
    return this.#sentBytes - this.#init.unsentBytes();
  }

  /** Its slots go to others at once; the peer hears why as soon as it takes anything again. */
  tooSlow(bytesPerSecond: number): void {
    const slow = new BusyError(
      `peer took ${bytesPerSecond} bytes a second while others waited, expected at least ${this.pace.minBytesPerSecond}`,
      SLOW_RETRY_MS,
    );
    this.#slow = slow;
    for (const want of this.#wants) {
      if (!want.slot) continue;
      want.read = Promise.resolve(slow);
      this.#release(want);
    }
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
    this.#wants.push({ ...request, cancelled: false, slot: false, read: undefined });
    this.#readAhead();
    this.#wake?.();
  }

  #readAhead(): void {
    if (this.#stopping.signal.aborted || this.#slow !== undefined) return;
    for (const want of this.#wants.slice(0, READ_AHEAD)) want.read ??= this.#read(want);
  }

  async #read(want: Want): Promise<Uint8Array | Error> {
    await this.#init.slots.acquire(this);
    want.slot = true;
    const { signal } = this.#stopping;
    try {
      if (this.#slow !== undefined) {
        this.#release(want);
        return this.#slow;
      }
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
    const { limit } = this.#init;
    return limit?.given.promise(digestText(digest), this.peer, performance.now()) ?? true;
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
    const { limit } = this.#init;
    let sent = false;
    try {
      if (want.cancelled) return;
      if (block instanceof Error) yield* this.#send(encodeFailed(want.id, failureFromError(block)));
      else sent = yield* this.#sendBlock(want, block);
      if (sent) limit?.given.sent(digestText(want.digest), this.peer, performance.now());
    } finally {
      // In one step: a request that came in between would read the block again, for a slot that nobody gives back.
      this.#wants.shift();
      this.#release(want);
      this.#slow = undefined;
      if (!sent) limit?.given.forget(digestText(want.digest), this.peer);
    }
  }

  /** @returns false when the peer gave the block up, or its turn was taken from it and it was told so */
  async *#sendBlock(
    want: Want,
    block: Uint8Array,
  ): AsyncGenerator<Uint8Array | Uint8ArrayList, boolean> {
    const { limit } = this.#init;
    const pieceBytes = limit?.pieceBytes ?? MAX_PIECE_BYTES;
    let offset = 0;
    do {
      await limit?.take(this.peer, Math.min(pieceBytes, block.byteLength - offset), offset > 0);
      yield* this.#send(encodePiece(want.id, block, offset, pieceBytes));
      offset += pieceBytes;
      yield* this.#answerInquiries();
    } while (offset < block.byteLength && !want.cancelled && this.#slow === undefined);
    if (want.cancelled) return false;
    if (offset >= block.byteLength) return true;
    if (this.#slow !== undefined) {
      yield* this.#send(encodeFailed(want.id, failureFromError(this.#slow)));
    }
    return false;
  }

  /** While it waits to be taken, it is the peer that is waited for. */
  *#send<T extends Uint8Array | Uint8ArrayList>(message: T): Generator<T> {
    this.#sentBytes += message.byteLength;
    this.pace.wait(performance.now());
    try {
      yield message;
    } finally {
      this.pace.proceed(performance.now());
    }
  }

  /** Gives the slot of a want back, when it has one. */
  #release(want: Want): void {
    if (!want.slot) return;
    want.slot = false;
    this.#init.slots.release(this);
  }

  async *#answerInquiries(): AsyncGenerator<Uint8Array> {
    // The answer leaves before the inquiry does: until then its id is taken.
    for (let inquiry = this.#inquiries[0]; inquiry !== undefined; inquiry = this.#inquiries[0]) {
      yield* this.#send(await this.#holdingsAnswer(inquiry));
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
    this.#init.limit?.given.forget(digestText(want.digest), this.peer);
    void want.read?.then(() => this.#release(want));
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
