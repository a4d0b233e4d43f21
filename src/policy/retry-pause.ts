/** Milliseconds waited at least before nodes that refused are asked again. */
export const MIN_RETRY_PAUSE_MS = 50;

/** Share of a wait by which it is stretched at random: who was refused together must not come back together. */
export const RETRY_JITTER = 0.25;
