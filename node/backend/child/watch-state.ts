/** What the watched thread hands over at the start. */
export interface WatchdogInit {
  readonly parentPid: number;
  /** Resident bytes the process may have; 0 for no bound. */
  readonly maxMemoryBytes: number;
  /** Slots {@link BUSY} and {@link RESIDENT_KIB} of an Int32Array. */
  readonly state: SharedArrayBuffer;
}

/** Index of 1 while a model loads or runs, else 0. The watched thread notifies when it turns 1. */
export const BUSY = 0;
/** Index of the process's resident KiB, as last measured. */
export const RESIDENT_KIB = 1;
/** Index of 1 once the watchdog runs. */
export const WATCHING = 2;

/** Begins the line on standard error that tells the parent why the process was killed. */
export const MEMORY_VERDICT = 'memory-limit-passed ';
