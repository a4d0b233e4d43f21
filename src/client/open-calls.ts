import { ConnectionError, InvalidInputError } from '../../protocols/errors.ts';
import { IdTable } from '../../protocols/id-table.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import { CallClock } from './call-clock.ts';
import { describeOptionsFault, describeSignalFault, type FieldsOf } from './known-fields.ts';

const FIELDS: FieldsOf<AbortOptions> = { signal: true };

/** @throws {ERR_INVALID_INPUT} for an option there is none of, and a signal that is none. */
export function checkAbortOptions(options: AbortOptions): void {
  const fault = describeOptionsFault(options, FIELDS);
  if (fault !== undefined) throw new InvalidInputError(`options: ${fault}`);
  const signalFault = describeSignalFault(options.signal);
  if (signalFault !== undefined) throw new InvalidInputError(`option signal: ${signalFault}`);
}

/** What of a client is under way, so that it ends when the client is closed. */
export class OpenCalls {
  readonly #deadlineMs: number;
  /** By a number of their own. */
  readonly #clocks = new IdTable<CallClock>();
  #last = 0;
  #closed = false;

  /** @param deadlineMs of what is asked with {@link within} */
  constructor(deadlineMs: number) {
    this.#deadlineMs = deadlineMs;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Works on a call with a clock of its own, which belongs to the work.
   *
   * @throws {ERR_CONNECTION} when the client is closed.
   */
  run<T>(clock: CallClock, work: () => Promise<T>): Promise<T> {
    if (this.#closed) {
      clock[Symbol.dispose]();
      throw new ConnectionError('the client is closed');
    }
    this.#last = (this.#last + 1) >>> 0;
    const id = this.#last;
    this.#clocks.set(id, clock);
    const over = (): void => this.#clocks.delete(id);
    const working = work();
    working.then(over, over);
    return working;
  }

  /**
   * Asks something of the swarm, within the client's deadline.
   *
   * @param what for the message
   * @throws {ERR_INVALID_INPUT} for an option there is none of. {ERR_DEADLINE} when the time is up. {ERR_CONNECTION} when the client is closed, or is meanwhile.
   */
  async within<T>(
    options: AbortOptions,
    what: string,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    checkAbortOptions(options);
    const { signal } = options;
    using clock = new CallClock(this.#deadlineMs, signal);
    try {
      return await this.run(clock, () => work(clock.signal));
    } catch (error) {
      throw clock.explain(error, what);
    }
  }

  /** Ends all that is under way, and whatever comes later at once. */
  close(): void {
    this.#closed = true;
    for (const [, clock] of this.#clocks.entries()) {
      clock.cancel(new ConnectionError('the client was closed while the call was under way'));
    }
  }
}
