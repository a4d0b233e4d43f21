import { isPromise } from 'node:util/types';
import type { ErrorCode } from '../../protocols/errors.ts';
import { describeValue } from '../../protocols/nested-array.ts';
import { TokenBucket } from '../../protocols/token-bucket.ts';
import type { NodeId, OwnerId, VersionCid } from '../../protocols/types.ts';

/** Events that a call may tell of at once, and how many a second after that: a crowd of nodes that refuse must not be a flood. */
const BURST_EVENTS = 32;
const EVENTS_PER_SECOND = 20;

/** Milliseconds between two events about the bytes of one direction. */
const TRANSFER_INTERVAL_MS = 100;

/** What happens in a call's life. */
export type CallEvent =
  /** The reference is being made definite. */
  | { readonly kind: 'resolving' }
  | { readonly kind: 'resolved'; readonly version: VersionCid; readonly channel: string | null }
  /** A node is asked, the `attempt`-th of the call, counted from 1; a second one may be asked beside a first that is late. */
  | {
      readonly kind: 'sent';
      readonly node: NodeId;
      readonly owner: OwnerId;
      readonly attempt: number;
      /** True when the node has the version on its disk only, and loads it first. */
      readonly cold: boolean;
      /** Milliseconds that loading takes by the node's own estimate; null when unknown, or when it is loaded. */
      readonly etaMs: number | null;
    }
  /** Bytes of tensors that went to the node, or came from it. Each attempt begins anew. */
  | {
      readonly kind: 'transfer';
      readonly node: NodeId;
      readonly direction: 'request' | 'response';
      readonly bytes: number;
      readonly totalBytes: number;
    }
  /** A node did not answer, and another is tried. */
  | {
      readonly kind: 'failed';
      readonly node: NodeId;
      readonly code: ErrorCode;
      readonly message: string;
    }
  /** No node takes the request now; the call asks again after `waitMs`. */
  | {
      readonly kind: 'waiting';
      readonly waitMs: number;
      /** Why the last node did not take it, such as `ERR_BUSY` or `ERR_LOADING`; null when none was asked. */
      readonly code: ErrorCode | null;
      /** Milliseconds until the version is loaded, by the last node's own estimate; null when unknown. */
      readonly etaMs: number | null;
    };

/** A {@link CallEvent} and when it was. */
export type CallProgress = CallEvent & {
  /** Milliseconds since the call began. */
  readonly elapsedMs: number;
};

/** Hears of one call. What it returns is not looked at, but for a promise: one that rejects is as good as a throw. */
export type ProgressListener = (progress: CallProgress) => unknown;

/**
 * Tells one call's listener of its events, at a bounded rate: what is too much is left out, but never the end of a transfer.
 * A listener that throws, or whose promise rejects, is told nothing more, and a process warning says so; the call goes on.
 */
export class ProgressReporter {
  #listener: ProgressListener | undefined;
  readonly #startedAtMs = performance.now();
  readonly #allowance = new TokenBucket(EVENTS_PER_SECOND, BURST_EVENTS);
  readonly #transferAtMs = {
    request: Number.NEGATIVE_INFINITY,
    response: Number.NEGATIVE_INFINITY,
  };

  constructor(listener: ProgressListener) {
    this.#listener = listener;
  }

  report(event: CallEvent): void {
    if (this.#listener === undefined) return;
    const nowMs = performance.now();
    const told =
      event.kind === 'transfer' ? this.#isDue(event, nowMs) : this.#allowance.takeWhole(1, nowMs);
    if (!told) return;
    try {
      // An async function is a listener too: its rejection, with nobody to hear it, would end the process.
      const heard = this.#listener({ ...event, elapsedMs: nowMs - this.#startedAtMs });
      if (isPromise(heard)) heard.catch((error: unknown) => this.#listenerFailed(error));
    } catch (error) {
      this.#listenerFailed(error);
    }
  }

  #listenerFailed(error: unknown): void {
    if (this.#listener === undefined) return;
    this.#listener = undefined;
    const said = error instanceof Error ? error.message : describeValue(error);
    process.emitWarning(`onProgress threw and is told nothing more of its call: ${said}`);
  }

  #isDue(event: CallEvent & { readonly kind: 'transfer' }, nowMs: number): boolean {
    const { direction, bytes, totalBytes } = event;
    if (bytes < totalBytes && nowMs - this.#transferAtMs[direction] < TRANSFER_INTERVAL_MS) {
      return false;
    }
    this.#transferAtMs[direction] = nowMs;
    return true;
  }
}
