import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { ownEnvironment } from './own-environment.ts';
import { SWARM } from './swarm-command.ts';

/** A command does nothing that takes longer, on a busy machine too. */
const PATIENCE_MS = 60_000;

export interface DoomedOptions {
  readonly cwd: string;
  /** Kills the command, and every process below it, so many milliseconds after its start. @default never */
  readonly killAfterMs?: number | undefined;
  /** Hears each line of JSON that the command prints; milliseconds from it are when the command is killed. */
  readonly onEvent?: (event: Readonly<Record<string, unknown>>) => number | undefined;
}

export interface DoomedResult {
  /** Its exit code, null when it was killed. */
  readonly code: number | null;
  readonly stderr: string;
  readonly durationMs: number;
}

/** Runs `swarm` in a process group of its own until it ends or is killed as a power cut would. */
export async function runDoomed(
  args: readonly string[],
  { cwd, killAfterMs = PATIENCE_MS, onEvent }: DoomedOptions,
): Promise<DoomedResult> {
  const startedAtMs = performance.now();
  const child = spawn(process.execPath, [SWARM, ...args], {
    cwd,
    env: { ...ownEnvironment(), NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const ended = once(child, 'close');
  const timers = [setTimeout(() => killGroup(child), killAfterMs)];
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  for await (const line of createInterface({ input: child.stdout })) {
    // The last line of a command that is killed may be half of one.
    if (!line.startsWith('{') || !line.endsWith('}')) continue;
    const killInMs = onEvent?.(JSON.parse(line));
    if (killInMs !== undefined) timers.push(setTimeout(() => killGroup(child), killInMs));
  }
  const [code] = (await ended) as [number | null];
  for (const timer of timers) clearTimeout(timer);
  return { code, stderr, durationMs: performance.now() - startedAtMs };
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended by itself between the timer and the kill.
  }
}
