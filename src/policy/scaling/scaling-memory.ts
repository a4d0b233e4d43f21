import type { NodeId, VersionCid } from '../../../protocols/types.ts';

/** What was wanted, or asked for, at a moment. */
export interface Wish {
  readonly atMs: number;
  readonly requestsPerS: number;
}

/** A node that was ready for a version, and what it could do: its last word on demand counts after it is gone. */
export interface FormerHolder {
  readonly atMs: number;
  /** Null when nothing was measured. */
  readonly requestsPerS: number | null;
}

/** What a node remembers of one version from plan to plan. Times are its own clock's. */
export interface VersionMemory {
  /** When it was first looked at: nothing leaves sooner than a down-delay after. */
  readonly sinceMs: number;
  /** Oldest first. */
  readonly wishes: readonly Wish[];
  /** Until when the panic window rules; 0 for never. */
  readonly panicUntilMs: number;
  /** The most that was wanted in this panic; 0 outside one. */
  readonly panicPerS: number;
  /** What the panic window showed at the last look; null before the first. */
  readonly seen: Wish | null;
  /** Since when more is wanted than is there; null while that is not so. */
  readonly shortSinceMs: number | null;
  /** Since when less was wanted in the whole down-delay than is there; null while that is not so. */
  readonly surplusSinceMs: number | null;
  /** When replicas last became more, or were about to: one was loading. */
  readonly grewAtMs: number;
  /** When replicas last became fewer; 0 for never. */
  readonly fellAtMs: number;
  /** When one last left memory of itself and what stayed was enough; 0 for never, and where more was needed or others were lost since. */
  readonly sparedAtMs: number;
  /** Replicas, ready or loading, at the last look. */
  readonly had: number;
  /** When somebody last asked for it, as far as is known. */
  readonly askedAtMs: number;
  readonly holders: ReadonlyMap<NodeId, FormerHolder>;
}

/** From plan to plan, by version; a version that is no longer in the view is forgotten. */
export type ScalingMemory = ReadonlyMap<VersionCid, VersionMemory>;

export const EMPTY_SCALING_MEMORY: ScalingMemory = new Map();

/**
 * Of a version that was never looked at before. One that nobody serves counts as long asleep: who has just come, and has seen no
 * request, must not wake it.
 */
export function firstMemory(nowMs: number, served = true): VersionMemory {
  return {
    sinceMs: nowMs,
    wishes: [],
    panicUntilMs: 0,
    panicPerS: 0,
    seen: null,
    shortSinceMs: null,
    surplusSinceMs: null,
    grewAtMs: nowMs,
    fellAtMs: 0,
    sparedAtMs: 0,
    had: 0,
    askedAtMs: served ? nowMs : 0,
    holders: new Map(),
  };
}
