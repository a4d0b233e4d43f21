import type { CommandContext, CommandHost } from '../../../../src/cli/command-context.ts';
import { createContext } from '../../../../src/cli/command-context.ts';
import { resolveSettings } from '../../../../src/cli/config.ts';
import { Terminal } from '../../../../src/cli/terminal.ts';

/** What a command wrote. */
export interface Written {
  stdout: string;
  stderr: string;
}

export interface HostOptions {
  readonly argv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  /** What is piped in. */
  readonly stdin?: readonly string[];
  readonly colour?: boolean;
  /** Of stderr, when it is a terminal. */
  readonly columns?: number | undefined;
}

/** A host that keeps what is written, in place of the process. */
export function createHost(options: HostOptions = {}): { host: CommandHost; written: Written } {
  const written: Written = { stdout: '', stderr: '' };
  const { argv = [], env = {}, stdin = [], colour = false, columns } = options;
  const host: CommandHost = {
    argv,
    env,
    cwd: options.cwd ?? '/nowhere',
    signal: options.signal ?? new AbortController().signal,
    openStdin: async function* () {
      for (const text of stdin) yield Buffer.from(text);
    },
    createTerminal: (json) =>
      new Terminal({
        stdout: { write: (text) => (written.stdout += text) },
        stderr: { write: (text) => (written.stderr += text) },
        json,
        colour,
        columns,
      }),
  };
  return { host, written };
}

/** The context of a command whose flags are given as the parser would. */
export async function createTestContext(
  flags: Readonly<Record<string, unknown>> = {},
  { json = false, ...options }: HostOptions & { readonly json?: boolean } = {},
): Promise<{ context: CommandContext; written: Written }> {
  const { host, written } = createHost(options);
  const resolved = await resolveSettings({ flags, env: host.env });
  return { context: createContext(host, host.createTerminal(json), resolved), written };
}

/** Each line of a text as JSON. */
export function events(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
