import type { VersionCid } from '../../../protocols/types.ts';

/** What a node remembers of one version from plan to plan. Times are its own clock's. */
export interface VersionMemory {
  /** When it was first looked at: less is never wanted sooner than a down-delay after. */
  readonly sinceMs: number;
  /** Largest wish of each slice of the down-delay, oldest first. */
  readonly wishes: readonly { readonly atMs: number; readonly requestsPerS: number }[];
  /** Until when the panic window rules; 0 for never. */
  readonly panicUntilMs: number;
  /** Since when more is wanted than is there; null while that is not so. */
  readonly shortSinceMs: number | null;
  /** When replicas last became more. */
  readonly grewAtMs: number;
  /** Replicas at the last look. */
  readonly had: number;
  /** When somebody last asked for it, as far as is known. */
  readonly askedAtMs: number;
  /** When this node draws to claim it: its place in the spread of claims; null while it does not. */
  readonly claimAtMs: number | null;
  /** When a notice about it was last heard or sent; 0 for never. */
  readonly noticeAtMs: number;
}

/** From plan to plan, by version; a version that is no longer in the view is forgotten. */
export type ScalingMemory = ReadonlyMap<VersionCid, VersionMemory>;

export const EMPTY_SCALING_MEMORY: ScalingMemory = new Map();
