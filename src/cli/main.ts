import { StoreError } from '../../protocols/errors.ts';
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
  const { signal, lostOutput } = listenForTheEnd();
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
  process.stdout.write('', () => setImmediate(endProcess));

  // A turn later, for a stream that fails says so only after its callbacks.
  function endProcess(): never {
    const lost = lostOutput();
    // Told on stderr with `--json` too: it is stdout that takes nothing.
    process.exit(lost === undefined ? exitCode : tellError(host.createTerminal(false), lost));
  }
}

/** Width of stderr when it is a terminal that can move its cursor; those that cannot call themselves dumb. */
function liveColumns(): number | undefined {
  const { isTTY, columns } = process.stderr;
  return isTTY && process.env['TERM'] !== 'dumb' && columns > 0 ? columns : undefined;
}

interface TheEnd {
  /** Aborts when the command is told to end: by the system, by the end of a parent that holds a channel to it, or by its outputs. */
  readonly signal: AbortSignal;
  /** Why what was written is not all where it was to go, as when it is a file on a full disk; undefined while it is. */
  readonly lostOutput: () => StoreError | undefined;
}

function listenForTheEnd(): TheEnd {
  const ending = new AbortController();
  let lost: StoreError | undefined;
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
  for (const [name, stream] of [
    ['output', process.stdout],
    ['error', process.stderr],
  ] as const) {
    stream.on('error', (cause: NodeJS.ErrnoException) => {
      // `swarm models ls | head -1` is no failure: who reads has read enough. Half an answer in a file must not pass for a whole one.
      if (cause.code !== 'EPIPE') {
        lost ??= new StoreError(`standard ${name} cannot be written: ${cause.message}`, { cause });
      }
      end('SIGPIPE');
    });
  }
  return { signal: ending.signal, lostOutput: () => lost };
}
