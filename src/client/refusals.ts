import {
  type BusyError,
  isSwarmError,
  type LoadingError,
  type SwarmError,
} from '../../protocols/errors.ts';
import { MIN_RETRY_PAUSE_MS } from '../policy/retry-pause.ts';

/** Milliseconds after which a node that loads is asked again though it said longer: what it says is an estimate. */
const MAX_LOADING_PAUSE_MS = 1_000;

/** Milliseconds after which a node that loads and does not know for how long is asked again. */
const UNKNOWN_LOADING_PAUSE_MS = 250;

/** Why the nodes of one round did not answer, and when the first of them will. */
export class Refusals {
  #last: SwarmError | undefined;
  #busy: BusyError | undefined;
  #loading: LoadingError | undefined;
  /** Of this round: refusals of a caller or of what it asks for, and all others. */
  #forbidden = 0;
  #others = 0;

  add(error: SwarmError): void {
    this.#last = error;
    if (error.code === 'ERR_FORBIDDEN') this.#forbidden += 1;
    else this.#others += 1;
    if (isBusy(error) && error.retryAfterMs < (this.#busy?.retryAfterMs ?? Infinity)) {
      this.#busy = error;
    }
    if (!isLoading(error)) return;
    if (this.#loading === undefined || etaOf(error) < etaOf(this.#loading)) this.#loading = error;
  }

  /** What the caller is told when no node answers: the one that is soonest there again. */
  get best(): SwarmError | undefined {
    if (this.#busy === undefined) return this.#loading ?? this.#last;
    const { retryAfterMs } = this.#busy;
    return this.#loading !== undefined && etaOf(this.#loading) < retryAfterMs
      ? this.#loading
      : this.#busy;
  }

  /** Milliseconds until the first node may answer by what it said; undefined when none said so. */
  get readyInMs(): number | undefined {
    const etaMs = this.#loading?.etaMs ?? undefined;
    if (this.#busy === undefined) return etaMs;
    return Math.min(this.#busy.retryAfterMs, etaMs ?? Infinity);
  }

  /** True when a node of this round said that it loads the version: it is waited for, rather than to wake another. */
  get waking(): boolean {
    return this.#loading !== undefined;
  }

  /** Milliseconds after which to ask again; undefined when nobody was busy or loading. */
  get pauseMs(): number | undefined {
    const pauses = [
      ...(this.#busy === undefined ? [] : [this.#busy.retryAfterMs]),
      ...(this.#loading === undefined
        ? []
        : [Math.min(this.#loading.etaMs ?? UNKNOWN_LOADING_PAUSE_MS, MAX_LOADING_PAUSE_MS)]),
    ];
    return pauses.length === 0 ? undefined : Math.max(MIN_RETRY_PAUSE_MS, Math.min(...pauses));
  }

  /** True when every node that was asked refused the caller, or what it asks for: a wait changes nothing. */
  get forbidden(): boolean {
    return this.#forbidden > 0 && this.#others === 0;
  }

  /** A new round begins; what was last heard stays, for want of better. */
  clear(): void {
    this.#busy = undefined;
    this.#loading = undefined;
    this.#forbidden = 0;
    this.#others = 0;
  }
}

function isBusy(error: SwarmError): error is BusyError {
  return isSwarmError(error) && error.code === 'ERR_BUSY';
}

function isLoading(error: SwarmError): error is LoadingError {
  return isSwarmError(error) && error.code === 'ERR_LOADING';
}

function etaOf({ etaMs }: LoadingError): number {
  return etaMs ?? Number.MAX_SAFE_INTEGER;
}
