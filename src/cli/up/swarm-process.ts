import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { DeadlineError, InternalError } from '../../../protocols/errors.ts';
import { daemonNodeOptions } from '../garbage-collection.ts';
import { commandFile } from '../package-root.ts';

/** How long a process may take until it serves: a cold start on a slow, busy machine takes a few seconds. */
const READY_TIMEOUT_MS = 60_000;

/** How long a process told to end may take, before it is killed. */
const STOP_TIMEOUT_MS = 5_000;

/** Characters of a process's stderr that are kept for the message when it dies. */
const MAX_TAIL_CHARACTERS = 4_096;

/** What a process says of itself once it serves. */
export interface ReadyEvent {
  /** Its peer id. */
  readonly id: string;
  /** Multiaddrs that others can dial, with `/p2p/<id>`. */
  readonly addresses: readonly string[];
}

export interface SwarmProcessInit {
  /** What it is called in this swarm: `bootstrap`, `node-1`. */
  readonly name: string;
  /** The command line after `swarm`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

/**
 * One process of the swarm: `swarm node` or `swarm bootstrap`, ours from spawn to end.
 *
 * It leads a process group of its own, so that a terminal's Ctrl-C reaches us alone and we end it in order, and so that a
 * kill takes the processes below it too. The IPC channel ends it when we die without a word.
 */
export class SwarmProcess {
  readonly name: string;
  /** Resolves, never rejects, when the process is gone, with the way it ended: `exit code 1`, `SIGKILL`. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #ready: Promise<ReadyEvent>;
  #tail = '';
  #running = true;

  constructor(init: SwarmProcessInit) {
    this.name = init.name;
    const options = daemonNodeOptions(init.args[0] ?? '');
    this.#child = spawn(process.execPath, [...options, commandFile(), ...init.args], {
      cwd: init.cwd,
      env: init.env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: process.platform !== 'win32',
      windowsHide: true,
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#tail = (this.#tail + text).slice(-MAX_TAIL_CHARACTERS);
    });
    this.ended = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#running = false;
        resolve(how);
      };
      this.#child.once('exit', (code, signal) => end(signal ?? `exit code ${code}`));
      this.#child.once('error', (error) => {
        // Also told of a signal that could not be sent; only a process that never ran has no id.
        if (this.#child.pid === undefined) end(error.message);
      });
    });
    this.#ready = this.#readReady();
    // Who waits hears of it; the process may end before anybody does.
    this.#ready.catch(() => undefined);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#running;
  }

  /**
   * Resolves once the process serves.
   *
   * @throws {ERR_INTERNAL} when it ends first: with the last it said.
   * @throws {ERR_DEADLINE} when it says nothing for a minute; the signal's reason when that aborts.
   */
  async ready(signal: AbortSignal): Promise<ReadyEvent> {
    const timeout = AbortSignal.timeout(READY_TIMEOUT_MS);
    const either = AbortSignal.any([signal, timeout]);
    const aborted = Promise.withResolvers<never>();
    const onAbort = (): void => {
      aborted.reject(
        signal.aborted
          ? signal.reason
          : new DeadlineError(
              `${this.name} did not serve within ${READY_TIMEOUT_MS} ms; it said: ${this.lastWords()}`,
              'start',
            ),
      );
    };
    if (either.aborted) onAbort();
    either.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([this.#ready, aborted.promise]);
    } finally {
      either.removeEventListener('abort', onAbort);
    }
  }

  /** The last line that the process wrote to stderr. */
  lastWords(): string {
    return this.#tail.trimEnd().split('\n').at(-1)?.trim() || 'nothing';
  }

  /** Ends it, and every process below it, without a warning, as a power cut would. */
  async kill(): Promise<void> {
    this.killNow();
    await this.ended;
  }

  /** {@link kill} for a process that is about to end itself and cannot wait. */
  killNow(): void {
    const { pid } = this.#child;
    if (!this.#running || pid === undefined) return;
    try {
      if (process.platform === 'win32') this.#child.kill('SIGKILL');
      else process.kill(-pid, 'SIGKILL');
    } catch {
      // It ended between the look and the kill: that is what was wanted.
    }
  }

  /** Asks it to end, and kills it when it has not after that many milliseconds. */
  async stop(timeoutMs = STOP_TIMEOUT_MS): Promise<void> {
    if (!this.#running) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.killNow(), timeoutMs);
    await this.ended;
    clearTimeout(timer);
  }

  async #readReady(): Promise<ReadyEvent> {
    const { stdout } = this.#child;
    if (stdout === null) throw new InternalError(`${this.name} has no stdout`);
    const lines = createInterface({ input: stdout });
    const ended = this.ended.then((how) => [undefined, how] as const);
    const first = once(lines, 'line').then(([line]) => [String(line), ''] as const);
    const [line, how] = await Promise.race([first, ended]);
    // Nobody reads further lines, and a full pipe would stop the process that writes them.
    stdout.resume();
    const event = line === undefined ? {} : parseLine(line);
    if (event['event'] === 'ready') return event as unknown as ReadyEvent;
    const { message } = event;
    const said = typeof message === 'string' ? message : (line ?? this.lastWords());
    throw new InternalError(
      `${this.name} could not start${how === '' ? '' : ` (${how})`}: ${said}`,
    );
  }
}

function parseLine(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    // Something else wrote to stdout: the line itself says more than that it is no JSON.
    return {};
  }
}
