import type { NamedTensor } from '../../protocols/tensor.ts';
import type { QueuedResult } from './version-queue.ts';

/** Longest delay a timer takes, in milliseconds; a later deadline is looked at again then. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A request as it is handed in. */
export interface LineEntry {
  readonly inputs: readonly NamedTensor[];
  readonly outputs: readonly string[] | undefined;
  readonly priority: number;
  /** On the clock of `performance.now()`, like the deadline. */
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
export interface WaitingRequest extends Omit<LineEntry, 'signal' | 'onExpired'> {}

interface Waiting {
  readonly entry: LineEntry;
  readonly request: WaitingRequest;
}

/** Requests in the order they run: higher priority first, first come first within one. */
export class WaitingLine {
  /** One list a priority, never empty; few priorities are in use at once. */
  readonly #lists = new Map<number, Set<Waiting>>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Adds a request, which leaves by {@link take}, or by itself when its deadline passes or its signal aborts. */
  add(entry: LineEntry): void {
    const { priority } = entry;
    const list = this.#lists.get(priority) ?? new Set<Waiting>();
    this.#lists.set(priority, list);
    const settle = this.#watch(entry, () => list.has(waiting) && this.#remove(waiting, list));
    const waiting: Waiting = { entry, request: { ...entry, ...settle } };
    list.add(waiting);
    this.#length += 1;
  }

  /** Takes the request whose turn it is; undefined when none waits. Its deadline and signal still settle it. */
  take(): WaitingRequest | undefined {
    if (this.#length === 0) return undefined;
    const list = this.#lists.get(Math.max(...this.#lists.keys()));
    const [first] = list ?? [];
    if (list === undefined || first === undefined) return undefined;
    this.#remove(first, list);
    return first.request;
  }

  /** Sets the deadline and the signal to work; returns settlers that end both. */
  #watch(entry: LineEntry, leave: () => boolean): Pick<LineEntry, 'resolve' | 'reject'> {
    const { signal, deadlineAtMs } = entry;
    let timer: NodeJS.Timeout | undefined;
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    const onAbort = (): void => {
      end();
      leave();
      entry.reject(signal?.reason);
    };
    const arm = (): void => {
      const restMs = Math.ceil(deadlineAtMs - performance.now());
      timer = setTimeout(onTimer, Math.min(MAX_TIMER_MS, Math.max(0, restMs)));
    };
    const onTimer = (): void => {
      if (performance.now() < deadlineAtMs) return arm();
      end();
      entry.reject(entry.onExpired(leave() ? 'queue' : 'execute'));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    if (Number.isFinite(deadlineAtMs)) arm();
    return {
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

  #remove(waiting: Waiting, list: Set<Waiting>): boolean {
    list.delete(waiting);
    this.#length -= 1;
    if (list.size === 0) this.#lists.delete(waiting.entry.priority);
    return true;
  }
}
