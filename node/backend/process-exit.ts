import { MEMORY_VERDICT } from './child/watch-state.ts';
import { MAX_REMOTE_TEXT } from '../../protocols/limits.ts';

/** How a model's process ended. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** End of what it wrote to standard error. */
  readonly stderr: string;
  /** What it did against the pipe's protocol, for which it was killed; undefined when nothing. */
  readonly breach: string | undefined;
}

/** Signals that a fault in native code raises: the model or its input did it. */
const FAULT_SIGNALS: ReadonlySet<string> = new Set([
  'SIGABRT',
  'SIGBUS',
  'SIGFPE',
  'SIGILL',
  'SIGSEGV',
  'SIGTRAP',
]);

/** Whether the process died of its own doing, and would again. */
export function isFault(exit: ProcessExit): boolean {
  if (exit.breach !== undefined || memoryVerdict(exit) !== undefined) return true;
  // Windows reports faults as exit codes such as 0xC0000005.
  return exit.signal === null ? exit.code !== 0 : FAULT_SIGNALS.has(exit.signal);
}

/** Resident bytes at which the watchdog killed the process; undefined when it did not. */
export function memoryVerdict(exit: ProcessExit): number | undefined {
  const start = exit.stderr.lastIndexOf(MEMORY_VERDICT);
  if (start < 0) return undefined;
  return Number.parseInt(exit.stderr.slice(start + MEMORY_VERDICT.length), 10);
}

/** `was killed by SIGFPE`, to follow the name of the process. */
export function describeExit(exit: ProcessExit, maxMemoryBytes: number): string {
  if (exit.breach !== undefined) {
    return `was killed because it broke the protocol of its pipe: ${exit.breach.slice(0, MAX_REMOTE_TEXT)}`;
  }
  const resident = memoryVerdict(exit);
  if (resident !== undefined) {
    return `was stopped at ${resident} bytes of memory, expected at most ${maxMemoryBytes}`;
  }
  if (exit.signal !== null) return `was killed by ${exit.signal}`;
  const lines = exit.stderr.split('\n').map((line) => line.trim());
  const said = lines.findLast((line) => /error/i.test(line)) ?? '';
  const suffix = said === '' ? '' : `: ${said.slice(0, MAX_REMOTE_TEXT)}`;
  return `ended with code ${exit.code ?? 'unknown'}${suffix}`;
}
