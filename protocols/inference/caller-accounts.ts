import { BusyError, LimitError } from '../errors.ts';
import {
  MAX_REFUSED_BYTES_PER_SECOND,
  MAX_REQUESTS_PER_CALLER,
  MAX_STREAMS_PER_CALLER,
  MAX_UNASKED_BYTES,
  MAX_UNASKED_BYTES_PER_CALLER,
  MAX_UNTAKEN_BYTES_PER_CALLER,
} from '../limits.ts';
import { TokenBucket } from '../token-bucket.ts';

/** Milliseconds after which a caller that has as much open as it may should ask again: some of it is answered by then. */
const RETRY_MS = 100;

/** Milliseconds for which a stream is not read at most: a cancel may be behind what is to be refused. */
const MAX_REST_MS = 250;

/** What callers have open at a node, each over all its streams, and all together. */
export class CallerAccounts {
  readonly #accounts = new Map<string, CallerAccount>();
  #unaskedBytes = 0;

  /** Bytes of bodies that all callers together have here ungranted. */
  get unaskedBytes(): number {
    return this.#unaskedBytes;
  }

  /**
   * The account of a caller, for a stream that it opened: to be closed with it.
   *
   * @throws {ERR_LIMIT} when it has too many open.
   */
  open(caller: string): CallerAccount {
    const account = this.#accounts.get(caller) ?? this.#create(caller);
    account.openStream();
    return account;
  }

  #create(caller: string): CallerAccount {
    const account = new CallerAccount({
      unaskedBytes: () => this.#unaskedBytes,
      onUnasked: (bytes) => {
        this.#unaskedBytes += bytes;
      },
      onClosed: () => this.#accounts.delete(caller),
    });
    this.#accounts.set(caller, account);
    return account;
  }
}

interface CallerAccountInit {
  /** Of all callers. */
  readonly unaskedBytes: () => number;
  readonly onUnasked: (bytes: number) => void;
  /** Called when its last stream is closed. */
  readonly onClosed: () => void;
}

/** What one caller has open. Every stream gives back what it took before it is closed. */
export class CallerAccount {
  readonly #init: CallerAccountInit;
  #streams = 0;
  #requests = 0;
  #unaskedBytes = 0;
  #untakenBytes = 0;
  /** In debt once more was refused than is forgiven. */
  readonly #refused = new TokenBucket(MAX_REFUSED_BYTES_PER_SECOND, MAX_REFUSED_BYTES_PER_SECOND);

  constructor(init: CallerAccountInit) {
    this.#init = init;
  }

  /** @throws {ERR_LIMIT} when there are too many. */
  openStream(): void {
    if (this.#streams >= MAX_STREAMS_PER_CALLER) {
      throw new LimitError(
        `caller has ${this.#streams} inference streams open, expected at most ${MAX_STREAMS_PER_CALLER}`,
      );
    }
    this.#streams += 1;
  }

  closeStream(): void {
    this.#streams -= 1;
    if (this.#streams === 0) this.#init.onClosed();
  }

  /**
   * Checks that a request may be open besides those that are; it takes no place.
   *
   * @param unaskedBytes of its body that come, or came, without a grant
   * @throws {ERR_BUSY} when the caller has too many, too much of its bodies is here, or it does not take its answers.
   */
  check(unaskedBytes: number): void {
    if (this.#requests >= MAX_REQUESTS_PER_CALLER) {
      throw busy(`caller has ${this.#requests} requests open`, MAX_REQUESTS_PER_CALLER, {
        requests: this.#requests,
      });
    }
    const ownBytes = this.#unaskedBytes + unaskedBytes;
    if (ownBytes > MAX_UNASKED_BYTES_PER_CALLER) {
      throw busy(
        `bodies of this caller that came unasked would have ${ownBytes} bytes`,
        MAX_UNASKED_BYTES_PER_CALLER,
        { unaskedBytes: ownBytes },
      );
    }
    const allBytes = this.#init.unaskedBytes() + unaskedBytes;
    if (allBytes > MAX_UNASKED_BYTES) {
      throw busy(`bodies that came unasked would have ${allBytes} bytes`, MAX_UNASKED_BYTES, {
        unaskedBytes: allBytes,
      });
    }
    if (this.#untakenBytes > MAX_UNTAKEN_BYTES_PER_CALLER) throw this.#untaken(this.#untakenBytes);
  }

  /** A request is open from now on. */
  begin(unaskedBytes: number): void {
    this.#requests += 1;
    this.#unasked(unaskedBytes);
  }

  /** Of a body that came unasked so many bytes have their room now. */
  granted(unaskedBytes: number): void {
    this.#unasked(-unaskedBytes);
  }

  /** A request is open no more that has so many bytes of its body here ungranted. */
  end(unaskedBytes: number): void {
    this.#requests -= 1;
    this.#unasked(-unaskedBytes);
  }

  /**
   * An answer waits for the caller to take it, until {@link taken}.
   *
   * @throws {ERR_BUSY} when others do so already, and all together are too much: it is to be dropped.
   */
  hold(answerBytes: number): void {
    const bytes = this.#untakenBytes + answerBytes;
    if (this.#untakenBytes > 0 && bytes > MAX_UNTAKEN_BYTES_PER_CALLER) throw this.#untaken(bytes);
    this.#untakenBytes = bytes;
  }

  taken(answerBytes: number): void {
    this.#untakenBytes -= answerBytes;
  }

  /**
   * So much of what the caller sent was refused or dropped; milliseconds for which nothing more is to be read from the stream on which it
   * came, 0 for none.
   *
   * @param nowMs on the clock of `performance.now()`
   */
  refused(bytes: number, nowMs: number): number {
    this.#refused.take(bytes, nowMs);
    return Math.min(MAX_REST_MS, this.#refused.debtMs(nowMs));
  }

  #unasked(bytes: number): void {
    this.#unaskedBytes += bytes;
    this.#init.onUnasked(bytes);
  }

  #untaken(bytes: number): BusyError {
    return busy(
      `answers that wait for this caller to take them have ${bytes} bytes`,
      MAX_UNTAKEN_BYTES_PER_CALLER,
      { untakenBytes: bytes },
    );
  }
}

function busy(found: string, limit: number, details: Readonly<Record<string, number>>): BusyError {
  return new BusyError(`${found}, expected at most ${limit}`, RETRY_MS, { details });
}
