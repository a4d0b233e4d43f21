/** Milliseconds waited at least before nodes that refused are asked again. */
export const MIN_RETRY_PAUSE_MS = 50;

/** Milliseconds added to the wait with each round in which nobody said when to come back, and the most that it comes to. */
const ROUND_PAUSE_MS = 50;
const MAX_ROUND_PAUSE_MS = 1_000;

/** Milliseconds before all nodes are asked again, when none said when to come back; rounds count from 1. */
export function retryPauseMs(rounds: number): number {
  return Math.min(MAX_ROUND_PAUSE_MS, ROUND_PAUSE_MS * rounds);
}

/** Share of a wait by which it is stretched at random: who was refused together must not come back together. */
export const RETRY_JITTER = 0.25;
