import { once } from 'node:events';
import { destination, type Logger, pino } from 'pino';
import type { CommandContext } from './command-context.ts';
import { EXIT } from './exit-code.ts';

/** A program that serves until it is told to end: a node, a bootstrap server or a gateway. */
export interface Daemon {
  /** Peer id. */
  readonly id: string;
  /** Where others reach it: multiaddrs with `/p2p/<id>`, of a gateway the addresses of its servers. */
  readonly addresses: readonly string[];
  /** Resolves when it is to stop by itself. @default never */
  readonly drained?: Promise<void>;
  stop(): Promise<void>;
}

export interface DaemonCommand<D extends Daemon> {
  readonly role: 'node' | 'bootstrap' | 'gateway';
  readonly start: (logger: Logger) => Promise<D>;
  /** Tells people what serves now and what to do next. */
  readonly introduce: (daemon: D) => void;
  /** What programs are told beside the id and the addresses. */
  readonly facts?: ((daemon: D) => Readonly<Record<string, unknown>>) | undefined;
}

/** Starts a daemon, tells that it serves, and stops it in order when the command is told to end: that is no failure. */
export async function serveUntilTold<D extends Daemon>(
  { terminal, settings, signal }: CommandContext,
  { role, start, introduce, facts }: DaemonCommand<D>,
): Promise<number> {
  // Written at once: the last line before a crash is the one that is wanted.
  const logger = pino({ level: settings.logLevel }, destination({ dest: 2, sync: true }));
  const daemon = await start(logger);
  try {
    signal.throwIfAborted();
    const { id, addresses } = daemon;
    terminal.event({ event: 'ready', role, id, addresses, ...facts?.(daemon) });
    introduce(daemon);
    const told = once(signal, 'abort');
    await (daemon.drained === undefined ? told : Promise.race([told, daemon.drained]));
  } finally {
    await daemon.stop();
  }
  return EXIT.ok;
}
