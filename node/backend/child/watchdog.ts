/**
 * A thread of its own beside the model, for the thread that runs ONNX Runtime hears nothing while a model runs: no signal,
 * no closed pipe, no timer. It kills the process, with itself, when the parent is gone or the memory bound is passed.
 */
import { rmdirSync, writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import {
  BUSY,
  MEMORY_VERDICT,
  NAPPING,
  RESIDENT_KIB,
  WATCHING,
  type WatchdogInit,
} from './watch-state.ts';

/** Milliseconds between two looks: memory grows by some 2 GB/s at most, so a bound is passed by little. */
const BUSY_INTERVAL_MS = 25;
/** Nothing grows while no model runs, and the watched thread itself sees its pipe close. */
const IDLE_INTERVAL_MS = 1000;

function watch({ parentPid, maxMemoryBytes, state }: WatchdogInit): never {
  const slots = new Int32Array(state);
  for (;;) {
    // An orphan is handed to another parent at once, so the id changes; ids of live processes are not reused.
    if (process.ppid !== parentPid) {
      removeWorkDirectory();
      process.kill(process.pid, 'SIGKILL');
    }
    const resident = process.memoryUsage.rss();
    Atomics.store(slots, RESIDENT_KIB, Math.ceil(resident / 1024));
    if (maxMemoryBytes > 0 && resident > maxMemoryBytes) {
      writeSync(2, `\n${MEMORY_VERDICT}${resident}\n`);
      process.kill(process.pid, 'SIGKILL');
    }
    // Only now: whoever waits for the watchdog may then rely on a first look.
    if (Atomics.exchange(slots, WATCHING, 1) === 0) Atomics.notify(slots, WATCHING);
    if (Atomics.load(slots, BUSY) === 1) {
      Atomics.wait(slots, NAPPING, 0, BUSY_INTERVAL_MS);
    } else {
      // Said before it waits: work that begins in the moment between has turned BUSY, and it does not wait at all.
      Atomics.store(slots, NAPPING, 1);
      Atomics.wait(slots, BUSY, 0, IDLE_INTERVAL_MS);
      Atomics.store(slots, NAPPING, 0);
    }
  }
}

function removeWorkDirectory(): void {
  try {
    rmdirSync(process.cwd());
  } catch {
    // Not empty, already gone, or mounted for a process that is confined: what is left is an empty folder of the system's temporary files at worst.
  }
}

watch(workerData as WatchdogInit);
