import type { ResolvedSettings, SettingSource } from './config.ts';
import type { SettingKey, Settings } from './settings.ts';
import type { Terminal } from './terminal.ts';

/** What every command is given: the process, seen through one object, so that a test can hand in another. */
export interface CommandContext {
  readonly terminal: Terminal;
  /** Aborts with an `Interrupted` as its reason when the command is told to end; a second signal ends the process at once. */
  readonly signal: AbortSignal;
  /** All settings, those of other commands too: flag over environment over file over default. */
  readonly settings: Settings;
  /** Where each setting came from. */
  readonly sources: Readonly<Record<SettingKey, SettingSource>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute; relative paths on the command line start here. */
  readonly cwd: string;
  /** What is piped into the command; opened by whoever was told `-`, who reads it with a bound. */
  openStdin(): AsyncIterable<Uint8Array>;
}

/** A command: resolves with its exit code, or rejects with what `tellError` tells the user. */
export type RunCommand<Options> = (context: CommandContext, options: Options) => Promise<number>;

/** The parts of a context that do not depend on the command line. */
export interface CommandHost extends Omit<CommandContext, 'terminal' | 'settings' | 'sources'> {
  readonly argv: readonly string[];
  createTerminal(json: boolean): Terminal;
}

/** Joins what the process gives and what the command line says. */
export function createContext(
  host: CommandHost,
  terminal: Terminal,
  { settings, sources }: ResolvedSettings,
): CommandContext {
  const { signal, env, cwd } = host;
  return { terminal, signal, settings, sources, env, cwd, openStdin: () => host.openStdin() };
}
