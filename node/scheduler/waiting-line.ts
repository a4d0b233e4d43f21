import type { CancelListener, Cancellation } from '../../protocols/inference/index.ts';
import { bytesOf, type NamedTensor } from '../../protocols/tensor.ts';
import { FairOrder, type Turn } from '../../src/policy/fair-order.ts';
import type { Clock } from './clock.ts';
import { Deadlines, type Expiring } from './deadlines.ts';

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
  readonly cancellation: Cancellation | undefined;
  /** The error of a deadline that passed. */
  readonly onExpired: (phase: 'queue' | 'execute') => Error;
  readonly resolve: (result: QueuedResult) => void;
  readonly reject: (reason: unknown) => void;
}

/** What a request of the line is settled by, besides those who run it. */
interface RequestLine {
  readonly deadlines: Deadlines;
  /** Called when it settles by itself: it may be in the line still. */
  readonly leave: (request: WaitingRequest) => void;
}

/**
 * A request of the line, or that was taken from it: its deadline and its caller settle it either way. The first settling counts, later
 * ones do nothing. One object for all of that, for it is made for each request.
 */
export class WaitingRequest implements Turn, Expiring, CancelListener {
  readonly caller: string;
  readonly priority: number;
  readonly ownPriority: number | undefined;
  readonly cost: number;
  readonly form: LineEntry['form'];
  readonly inputs: readonly NamedTensor[];
  readonly outputs: readonly string[];
  readonly submittedAtMs: number;
  readonly deadlineAtMs: number;
  /** Of its inputs. */
  readonly bytes: number;
  readonly #entry: LineEntry;
  readonly #line: RequestLine;
  place = -1;
  #begun = false;
  #settled = false;

  constructor(entry: LineEntry, line: RequestLine) {
    this.caller = entry.caller;
    this.priority = entry.priority;
    this.ownPriority = entry.ownPriority;
    this.cost = entry.cost;
    this.form = entry.form;
    this.inputs = entry.inputs;
    this.outputs = entry.outputs;
    this.submittedAtMs = entry.submittedAtMs;
    this.deadlineAtMs = entry.deadlineAtMs;
    this.bytes = bytesOf(entry.inputs);
    this.#entry = entry;
    this.#line = line;
    if (entry.cancellation !== undefined) entry.cancellation.listener = this;
    line.deadlines.add(this);
  }

  /** Rows that it has; one that runs alone counts as one. */
  get rows(): number {
    return this.form?.rows ?? 1;
  }

  /** True once it has its answer or its error, or was given up. */
  get isSettled(): boolean {
    return this.#settled;
  }

  /** It executes from now on: a deadline that passes does so in phase `execute`. */
  begin(): void {
    this.#begun = true;
  }

  resolve(result: QueuedResult): void {
    this.#end();
    this.#entry.resolve(result);
  }

  reject(reason: unknown): void {
    this.#end();
    this.#entry.reject(reason);
  }

  /** Its deadline has passed, or will have before it is done. */
  expire(): void {
    this.reject(this.#entry.onExpired(this.#begun ? 'execute' : 'queue'));
  }

  late(): void {
    this.#line.leave(this);
    this.expire();
  }

  cancelled(reason: unknown): void {
    this.#line.leave(this);
    this.reject(reason);
  }

  #end(): void {
    this.#settled = true;
    this.#line.deadlines.remove(this);
    const { cancellation } = this.#entry;
    if (cancellation?.listener === this) cancellation.listener = undefined;
  }
}

/** Requests in the order they run. @see FairOrder */
export class WaitingLine {
  readonly #ends: RequestLine;
  readonly #order = new FairOrder<WaitingRequest>();
  #cost = 0;
  #rows = 0;
  /** Rows that wait of each form; none is zero. In arrays as {@link FairOrder} has it, and for its reason. */
  readonly #forms: { readonly key: string; rows: number }[] = [];
  #bytes = 0;
  /** What each caller has waiting; none has nothing. */
  readonly #callers: { readonly caller: string; queued: number; bytes: number }[] = [];

  constructor(clock: Clock) {
    const leave = (request: WaitingRequest): void => {
      if (this.#order.remove(request)) this.#count(request, -1);
    };
    this.#ends = { deadlines: new Deadlines(clock), leave };
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
    return this.#forms.every(({ rows }) => rows >= maxRows);
  }

  /** Bytes of the inputs of all that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What one caller has waiting; nothing for one that is not named. */
  of(caller: string | undefined): { readonly callerQueued: number; readonly callerBytes: number } {
    const own = this.#callers.find((known) => known.caller === caller);
    return { callerQueued: own?.queued ?? 0, callerBytes: own?.bytes ?? 0 };
  }

  /** Adds a request, which leaves by {@link take}, or by itself when its deadline passes or it is cancelled. */
  add(entry: LineEntry): void {
    const request = new WaitingRequest(entry, this.#ends);
    this.#order.add(request);
    this.#count(request, 1);
  }

  /** Takes the request whose turn it is; undefined when none waits. Its deadline and its caller still settle it. */
  take(): WaitingRequest | undefined {
    const request = this.#order.take();
    if (request !== undefined) this.#count(request, -1);
    return request;
  }

  /** Takes one more that may run with what was taken. */
  takeAlong(accepts: (request: WaitingRequest) => boolean): WaitingRequest | undefined {
    const request = this.#order.takeAlong(accepts);
    if (request !== undefined) this.#count(request, -1);
    return request;
  }

  #count(request: WaitingRequest, sign: 1 | -1): void {
    this.#cost += sign * request.cost;
    this.#rows += sign * request.rows;
    this.#bytes += sign * request.bytes;
    this.#countForm(request, sign);
    this.#countCaller(request, sign);
  }

  #countForm({ form }: WaitingRequest, sign: 1 | -1): void {
    if (form === undefined) return;
    const index = this.#forms.findIndex(({ key }) => key === form.key);
    const known = this.#forms[index];
    if (known === undefined) {
      this.#forms.push({ key: form.key, rows: form.rows });
      return;
    }
    known.rows += sign * form.rows;
    if (known.rows === 0) this.#forms.splice(index, 1);
  }

  #countCaller({ caller, bytes }: WaitingRequest, sign: 1 | -1): void {
    if (caller === '') return;
    const index = this.#callers.findIndex((known) => known.caller === caller);
    const own = this.#callers[index];
    if (own === undefined) {
      this.#callers.push({ caller, queued: 1, bytes });
      return;
    }
    own.queued += sign;
    own.bytes += sign * bytes;
    if (own.queued === 0) this.#callers.splice(index, 1);
  }
}
