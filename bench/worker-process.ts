import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Questions, WorkerQuestion, WorkerReply } from './worker.ts';

/** Milliseconds for anything that is not said to take longer: a start on a busy machine is the longest. */
export const ASK_TIMEOUT_MS = 60_000;

const STOP_TIMEOUT_MS = 10_000;

export interface WorkerProcessInit {
  /** What the process is, for messages and the name of its profile. */
  readonly what: string;
  readonly args?: readonly string[] | undefined;
  /** A command that runs the process, such as one that enters a network of its own; it must become the process. @default none */
  readonly through?: readonly string[] | undefined;
  /** Folder for a CPU profile of the process; none is taken when undefined. */
  readonly profileDir?: string | undefined;
}

/** A process from the benchmark's side; one question at a time. @see answerQuestions for the inside */
export class WorkerProcess<Q extends Questions> {
  readonly #child: ChildProcess;
  readonly #what: string;

  private constructor(child: ChildProcess, what: string) {
    this.#child = child;
    this.#what = what;
  }

  /** Resolves when the process is ready to be asked. */
  static async start<Q extends Questions>(
    module: URL,
    { what, args = [], through = [], profileDir }: WorkerProcessInit,
  ): Promise<WorkerProcess<Q>> {
    const profile =
      profileDir === undefined
        ? []
        : [
            '--cpu-prof',
            `--cpu-prof-dir=${profileDir}`,
            `--cpu-prof-name=${what.replaceAll(' ', '-')}.cpuprofile`,
          ];
    const [execPath, ...before] = [...through, process.execPath];
    const child = fork(fileURLToPath(module), [...args], {
      execPath,
      execArgv: [...before, ...process.execArgv, ...profile],
    });
    const started = new WorkerProcess<Q>(child, what);
    await started.#reply(ASK_TIMEOUT_MS);
    return started;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** @throws what the process failed with, or when it does not answer in time. */
  async ask<Name extends keyof Q & string>(
    name: Name,
    ask: Q[Name]['ask'],
    timeoutMs: number = ASK_TIMEOUT_MS,
  ): Promise<Q[Name]['answer']> {
    this.#child.send({ name, ask } satisfies WorkerQuestion);
    return this.#reply(timeoutMs);
  }

  /** Ends the process at once, whatever it does or cannot do. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Ends the process, which takes what it started with it. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    if (this.#child.connected) this.#child.send({ name: null } satisfies WorkerQuestion);
    await exited;
    clearTimeout(timer);
  }

  async #reply(timeoutMs: number): Promise<unknown> {
    const settled = new AbortController();
    const options = { signal: AbortSignal.any([settled.signal, AbortSignal.timeout(timeoutMs)]) };
    try {
      const reply = await Promise.race([
        once(this.#child, 'message', options).then(([message]) => message as WorkerReply),
        once(this.#child, 'exit', options).then(([code, signal]) => {
          throw new Error(`process ended with ${String(code ?? signal)}`);
        }),
      ]);
      if ('error' in reply) throw new Error(reply.error);
      return reply.answer;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`${this.#what}: ${reason}`, { cause });
    } finally {
      settled.abort();
    }
  }
}
