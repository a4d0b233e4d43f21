import { bytesOf, type NamedTensor } from '../../protocols/tensor.ts';
import { FairOrder, type Turn } from '../../src/policy/fair-order.ts';
import type { Clock } from './clock.ts';

/** An answer and where its time went. */
export interface QueuedResult {
  readonly outputs: readonly NamedTensor[];
  /** Milliseconds from `submit` to the begin of the execution. */
  readonly queueMs: number;
  /** Milliseconds inside the model, of the whole batch. */
  readonly executeMs: number;
  /** Requests that ran as one, this one among them. */
  readonly together: number;
}

/** A request as it is handed in; its cost is the elements of its inputs. */
export interface LineEntry extends Turn {
  readonly inputs: readonly NamedTensor[];
  readonly outputs: readonly string[];
  /** What a request must be equal in to run with it, and the rows it has; undefined when it runs alone. */
  readonly form: { readonly key: string; readonly rows: number } | undefined;
  /** On the line's clock, like the deadline. */
  readonly submittedAtMs: number;
  /** Infinity for none. */
  readonly deadlineAtMs: number;
  readonly signal: AbortSignal | undefined;
  /** The error of a deadline that passed. */
  readonly onExpired: (phase: 'queue' | 'execute') => Error;
  readonly resolve: (result: QueuedResult) => void;
  readonly reject: (reason: unknown) => void;
}

/** A request that was taken from the line; the first settling counts, later ones do nothing. */
export interface WaitingRequest extends Omit<LineEntry, 'signal'> {
  /** It executes from now on: a deadline that passes does so in phase `execute`. */
  readonly begin: () => void;
  /** True once it has its answer or its error, or was given up. */
  readonly isSettled: () => boolean;
}

/** Requests in the order they run. @see FairOrder */
export class WaitingLine {
  readonly #clock: Clock;
  readonly #order = new FairOrder<WaitingRequest>();
  #cost = 0;
  #rows = 0;
  /** Rows that wait of each form; none is zero. */
  readonly #formRows = new Map<string, number>();
  #bytes = 0;
  /** By caller, of those that wait. */
  readonly #callers = new Map<string, { queued: number; bytes: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get length(): number {
    return this.#order.length;
  }

  /** Elements of all that wait. */
  get cost(): number {
    return this.#cost;
  }

  /** Rows of all that wait; one that runs alone counts as one. */
  get rows(): number {
    return this.#rows;
  }

  /** Whether some wait, and of whichever form the next is there are so many rows: nobody who comes later would join it. */
  fills(maxRows: number): boolean {
    if (this.length === 0) return false;
    for (const rows of this.#formRows.values()) if (rows < maxRows) return false;
    return true;
  }

  /** Bytes of the inputs of all that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What one caller has waiting; nothing for one that is not named. */
  of(caller: string | undefined): { readonly callerQueued: number; readonly callerBytes: number } {
    const { queued = 0, bytes = 0 } = this.#callers.get(caller ?? '') ?? {};
    return { callerQueued: queued, callerBytes: bytes };
  }

  /** Adds a request, which leaves by {@link take}, or by itself when its deadline passes or its signal aborts. */
  add(entry: LineEntry): void {
    const settle = this.#watch(entry, () => this.#order.remove(request) && this.#left(request));
    const request: WaitingRequest = { ...entry, ...settle };
    this.#order.add(request);
    this.#count(request, 1);
  }

  /** Takes the request whose turn it is; undefined when none waits. Its deadline and signal still settle it. */
  take(): WaitingRequest | undefined {
    const request = this.#order.take();
    if (request !== undefined) this.#left(request);
    return request;
  }

  /** Takes one more that may run with what was taken. */
  takeAlong(accepts: (request: WaitingRequest) => boolean): WaitingRequest | undefined {
    const request = this.#order.takeAlong(accepts);
    if (request !== undefined) this.#left(request);
    return request;
  }

  #left(request: WaitingRequest): boolean {
    this.#count(request, -1);
    return true;
  }

  #count(request: WaitingRequest, sign: 1 | -1): void {
    const bytes = sign * bytesOf(request.inputs);
    this.#cost += sign * request.cost;
    this.#rows += sign * rowsOf(request);
    this.#bytes += bytes;
    this.#countForm(request, sign);
    this.#countCaller(request, sign, bytes);
  }

  #countForm({ form }: WaitingRequest, sign: 1 | -1): void {
    if (form === undefined) return;
    const rows = (this.#formRows.get(form.key) ?? 0) + sign * form.rows;
    if (rows === 0) this.#formRows.delete(form.key);
    else this.#formRows.set(form.key, rows);
  }

  #countCaller({ caller }: WaitingRequest, sign: 1 | -1, bytes: number): void {
    if (caller === '') return;
    const own = this.#callers.get(caller) ?? { queued: 0, bytes: 0 };
    own.queued += sign;
    own.bytes += bytes;
    if (own.queued === 0) this.#callers.delete(caller);
    else this.#callers.set(caller, own);
  }

  /** Sets the deadline and the signal to work; returns settlers that end both. */
  #watch(
    entry: LineEntry,
    leave: () => boolean,
  ): Pick<WaitingRequest, 'begin' | 'resolve' | 'reject' | 'isSettled'> {
    const { signal, deadlineAtMs } = entry;
    let disarm = (): void => {};
    let [begun, settled] = [false, false];
    const end = (): void => {
      settled = true;
      disarm();
      signal?.removeEventListener('abort', onAbort);
    };
    const onAbort = (): void => {
      end();
      leave();
      entry.reject(signal?.reason);
    };
    const arm = (): void => {
      const restMs = Math.ceil(deadlineAtMs - this.#clock.nowMs());
      disarm = this.#clock.after(Math.max(0, restMs), onTimer);
    };
    const onTimer = (): void => {
      // A timer that cannot reach so far ends before.
      if (this.#clock.nowMs() < deadlineAtMs) return arm();
      end();
      leave();
      entry.reject(entry.onExpired(begun ? 'execute' : 'queue'));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    if (Number.isFinite(deadlineAtMs)) arm();
    return {
      begin: () => {
        begun = true;
      },
      isSettled: () => settled,
      resolve: (result) => {
        end();
        entry.resolve(result);
      },
      reject: (reason) => {
        end();
        entry.reject(reason);
      },
    };
  }
}

function rowsOf({ form }: WaitingRequest): number {
  return form?.rows ?? 1;
}
