import type { ReplicaOrigin } from '../replica/replica.ts';

/** Hears how each request ended that reached this node by its header; one whose body never came is none. */
export interface RequestListener {
  /** @param times milliseconds: waited before its run, and of the run it was in */
  answered(
    origin: ReplicaOrigin,
    times: { readonly queueMs: number; readonly executeMs: number },
  ): void;
  /** `origin` is undefined where this node does not hold what was asked for. */
  failed(origin: ReplicaOrigin | undefined, error: unknown): void;
  /** Whoever asked wants no answer any more, or is gone. */
  cancelled(origin: ReplicaOrigin): void;
}
