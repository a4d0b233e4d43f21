import type { CommandHost } from './command-context.ts';
import { tellError } from './error-report.ts';
import { tuneGarbageCollection } from './garbage-collection.ts';
import { Interrupted, type InterruptSignal } from './interrupt.ts';
import { runCommandLine } from './program.ts';
import { Terminal } from './terminal.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The `swarm` command: runs what `process.argv` says and ends the process with its exit code. */
export async function main(): Promise<void> {
  tuneGarbageCollection();
  const signal = listenForTheEnd();
  const host: CommandHost = {
    argv: process.argv.slice(2),
    signal,
    env: process.env,
    cwd: process.cwd(),
    openStdin: () => process.stdin,
    createTerminal: (json) =>
      new Terminal({
        stdout: process.stdout,
        stderr: process.stderr,
        json,
        // Knows NO_COLOR, FORCE_COLOR and TERM=dumb.
        colour: process.stdout.isTTY && process.stdout.hasColors(),
        columns: liveColumns(),
      }),
  };
  process.on('uncaughtException', (error) => {
    process.exit(tellError(host.createTerminal(host.argv.includes('--json')), error));
  });
  const exitCode = await runCommandLine(host);
  // What a library left running must not keep a finished command alive; what was written must get out first.
  process.stdout.write('', () => process.exit(exitCode));
}

/** Width of stderr when it is a terminal that can move its cursor; those that cannot call themselves dumb. */
function liveColumns(): number | undefined {
  const { isTTY, columns } = process.stderr;
  return isTTY && process.env['TERM'] !== 'dumb' && columns > 0 ? columns : undefined;
}

/** A signal that aborts when the command is told to end, by the system or by the end of a parent that holds a channel to it. */
function listenForTheEnd(): AbortSignal {
  const ending = new AbortController();
  const end = (why: InterruptSignal | 'parent'): void => {
    const reason = new Interrupted(why);
    // Asked twice, it does not matter any more what is left undone.
    if (ending.signal.aborted && why !== 'SIGPIPE') process.exit(reason.exitCode);
    ending.abort(reason);
  };
  for (const name of SIGNALS) process.on(name, () => end(name));
  if (process.connected) {
    process.on('disconnect', () => end('parent'));
    process.channel?.unref();
  }
  // `swarm models ls | head -1` is no failure: who reads has read enough.
  process.stdout.on('error', () => end('SIGPIPE'));
  process.stderr.on('error', () => end('SIGPIPE'));
  return ending.signal;
}
