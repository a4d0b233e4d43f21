import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { SwarmProcess } from '../../src/cli/up/swarm-process.ts';
import { ownEnvironment } from './own-environment.ts';

/** The command of this checkout. */
export const SWARM = fileURLToPath(new URL('../../bin/swarm.js', import.meta.url));

const COMMAND_TIMEOUT_MS = 90_000;

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What is piped into it. */
  readonly input?: string;
  /** Milliseconds after which it is killed. @default 90000 */
  readonly timeoutMs?: number;
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Each line of stdout that is JSON. */
  readonly events: readonly Record<string, unknown>[];
}

/** Runs `swarm` with these words to its end, in a process of its own. */
export async function runSwarm(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return runCommand(process.execPath, [SWARM, ...args], options);
}

/** Runs any command to its end, bounded in time. */
export async function runCommand(
  command: string,
  args: readonly string[],
  { cwd, env, input = '', timeoutMs = COMMAND_TIMEOUT_MS }: CommandOptions = {},
): Promise<CommandResult> {
  const child = spawn(command, [...args], {
    cwd,
    env: { ...ownEnvironment(), NODE_OPTIONS: '', ...env },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => {
    // A command that reads nothing has closed its end.
  });
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, stdout, stderr, events: jsonLines(stdout) };
}

/** A daemon of its own data folder; ends with the scope that holds it. */
export interface Daemon extends AsyncDisposable {
  readonly id: string;
  readonly address: string;
  readonly pid: number;
  /** Resolves when it is gone, with the way it ended. */
  readonly ended: Promise<string>;
  /** Ends it and every process below it as a power cut would. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts `swarm node` or `swarm bootstrap` on loopback and resolves once it serves. */
export async function startDaemon(args: readonly string[], cwd: string): Promise<Daemon> {
  const child = new SwarmProcess({
    name: args.join(' '),
    args: [...args, '--json', '--no-mdns', '--log-level', 'warn'],
    env: ownEnvironment(),
    cwd,
  });
  const { id, addresses } = await child.ready(AbortSignal.timeout(COMMAND_TIMEOUT_MS));
  return {
    id,
    address: addresses.find((address) => address.startsWith('/ip4/127.')) ?? '',
    pid: child.pid ?? 0,
    ended: child.ended,
    kill: () => child.kill(),
    stop: () => child.stop(),
    [Symbol.asyncDispose]: () => child.stop(),
  };
}

function jsonLines(text: string): Record<string, unknown>[] {
  return text.split('\n').flatMap((line) => {
    try {
      return line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : [];
    } catch {
      return [];
    }
  });
}
