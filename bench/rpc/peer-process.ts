import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Measurement } from './measure.ts';
import type { PeerReply, PeerRequest } from './peer.ts';
import type { Mode } from './service.ts';
import type { TransportName } from './transport.ts';

const PEER_FILE = fileURLToPath(new URL('peer.ts', import.meta.url));

/** Milliseconds for anything but a measurement: a start on a busy machine is the longest. */
const ASK_TIMEOUT_MS = 60_000;

const STOP_TIMEOUT_MS = 10_000;

export interface PeerProcessInit {
  readonly role: 'server' | 'client';
  readonly transport: TransportName;
  readonly mode: Mode;
  /** The model, in executor mode. */
  readonly modelFile?: string | undefined;
  /** Folder for a CPU profile of the process; none is taken when undefined. */
  readonly profileDir?: string | undefined;
}

type Answer<R extends PeerRequest> = R['do'] extends 'serve'
  ? string
  : R['do'] extends 'measure'
    ? Measurement
    : R['do'] extends 'cpu'
      ? number
      : null;

/** A server's or client's process, from the benchmark's side; one question at a time. */
export class PeerProcess {
  readonly #child: ChildProcess;
  readonly #what: string;

  private constructor(child: ChildProcess, what: string) {
    this.#child = child;
    this.#what = what;
  }

  static async start(init: PeerProcessInit): Promise<PeerProcess> {
    const { role, transport, mode, modelFile, profileDir } = init;
    const profile =
      profileDir === undefined
        ? []
        : [
            '--cpu-prof',
            `--cpu-prof-dir=${profileDir}`,
            `--cpu-prof-name=${mode}-${transport.replaceAll(' ', '-')}-${role}.cpuprofile`,
          ];
    const child = fork(
      PEER_FILE,
      [role, transport, mode, ...(modelFile === undefined ? [] : [modelFile])],
      { execArgv: [...process.execArgv, ...profile] },
    );
    const started = new PeerProcess(child, `${transport} ${role}`);
    await started.#reply(ASK_TIMEOUT_MS);
    return started;
  }

  /** @throws what the process failed with, or when it does not answer in time. */
  async ask<R extends PeerRequest>(request: R): Promise<Answer<R>> {
    const measuringMs = request.do === 'measure' ? request.seconds * 1000 : 0;
    this.#child.send(request);
    // The process answers each kind with its own type; `peer.ts` is the other half of this cast.
    return (await this.#reply(ASK_TIMEOUT_MS + measuringMs)) as Answer<R>;
  }

  /** Ends the process, which takes what it started with it. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    if (this.#child.connected) this.#child.send({ do: 'stop' } satisfies PeerRequest);
    await exited;
    clearTimeout(timer);
  }

  async #reply(timeoutMs: number): Promise<unknown> {
    const settled = new AbortController();
    const options = { signal: AbortSignal.any([settled.signal, AbortSignal.timeout(timeoutMs)]) };
    try {
      const reply = await Promise.race([
        once(this.#child, 'message', options).then(([message]) => message as PeerReply),
        once(this.#child, 'exit', options).then(([code, signal]) => {
          throw new Error(`process ended with ${String(code ?? signal)}`);
        }),
      ]);
      if ('error' in reply) throw new Error(reply.error);
      return reply.value;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`${this.#what}: ${reason}`, { cause });
    } finally {
      settled.abort();
    }
  }
}
