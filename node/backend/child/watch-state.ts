/** What the watched thread hands over at the start. */
export interface WatchdogInit {
  readonly parentPid: number;
  /** Resident bytes the process may have; 0 for no bound. */
  readonly maxMemoryBytes: number;
  /** An Int32Array of {@link WATCH_SLOTS}. */
  readonly state: SharedArrayBuffer;
}

/** Index of 1 while a model loads or runs, else 0. When it turns 1 the watched thread wakes the watchdog if that naps. */
export const BUSY = 0;
/** Index of the process's resident KiB, as last measured. */
export const RESIDENT_KIB = 1;
/** Index of 1 once the watchdog runs. */
export const WATCHING = 2;
/** Index of 1 while the watchdog waits for work to begin; between two looks at work it is not to be woken for each run. */
export const NAPPING = 3;

export const WATCH_SLOTS = 4;

/** Begins the line on standard error that tells the parent why the process was killed. */
export const MEMORY_VERDICT = 'memory-limit-passed ';
