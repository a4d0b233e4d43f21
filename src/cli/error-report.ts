import { type ErrorCode, isSwarmError } from '../../protocols/errors.ts';
import { EXIT, exitCodeOf } from './exit-code.ts';
import { Interrupted } from './interrupt.ts';
import { printable } from './printable.ts';
import type { Terminal } from './terminal.ts';

/** Characters of a message: the longest of ours names each of a few nodes and why it refused. */
const MAX_MESSAGE_CHARACTERS = 4_096;

/** What is told of a failure: never a stack. */
export interface ErrorReport {
  readonly code: ErrorCode | 'INTERRUPTED';
  readonly message: string;
  readonly exitCode: number;
}

/** Reads any thrown value as a code, one line of text and an exit code. */
export function reportOf(error: unknown): ErrorReport {
  if (error instanceof Interrupted) {
    return { code: 'INTERRUPTED', message: error.message, exitCode: error.exitCode };
  }
  if (isSwarmError(error)) {
    return { code: error.code, message: oneLine(error.message), exitCode: exitCodeOf(error.code) };
  }
  const reason = error instanceof Error ? error.message : String(error);
  return { code: 'ERR_INTERNAL', message: oneLine(reason), exitCode: EXIT.failed };
}

/** Tells the user, on stderr for people and on stdout for programs, and returns the exit code. */
export function tellError(terminal: Terminal, error: unknown): number {
  const { code, message, exitCode } = reportOf(error);
  if (terminal.json) terminal.event({ event: 'error', code, message });
  else terminal.note(`${terminal.style('bad', 'error:')} ${message} (${code})`);
  return exitCode;
}

/** A message may quote what a stranger wrote: a terminal must show it, not obey it. */
function oneLine(text: string): string {
  return printable(text, MAX_MESSAGE_CHARACTERS) || 'no reason given';
}
