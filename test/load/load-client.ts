import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { daemonNodeOptions } from '../../src/cli/garbage-collection.ts';
import type { ClientLine, ClientReport } from './client-report.ts';

const PROGRAMS = {
  swarm: new URL('client-process.ts', import.meta.url),
  gateway: new URL('gateway-client.ts', import.meta.url),
} as const;

/** How long a client may take to end what it has open: longer than its calls may. */
const END_TIMEOUT_MS = 30_000;

/** A client of the swarm itself, or callers of a gateway. */
export type LoadClientInit = { readonly name: string } & (SwarmCaller | GatewayCallers);

interface SwarmCaller extends Caller {
  readonly program: 'swarm';
  readonly bootstrap: readonly string[];
  readonly mode: 'full' | 'light';
  readonly callsPerSecond: number;
}

interface GatewayCallers extends Caller {
  readonly program: 'gateway';
  readonly http: string;
  readonly callers: number;
}

interface Caller {
  readonly seed: number;
  readonly models: readonly { readonly reference: string; readonly offset: number }[];
}

/**
 * A client of the load, a process of its own; ends with its scope. It has the room for new objects that daemons have: V8's own grows in steps
 * for many minutes while nothing is held, and would be taken for a leak.
 */
export class LoadClient implements AsyncDisposable {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<string>;
  #report: ClientLine | undefined;

  constructor({ name, program, ...init }: LoadClientInit) {
    this.name = name;
    const file = fileURLToPath(PROGRAMS[program]);
    const args = [
      ...daemonNodeOptions('node'),
      '--conditions=swarm-source',
      file,
      JSON.stringify(init),
    ];
    this.#child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error(`${name} has no stdout`);
    const lines = createInterface({ input: stdout });
    lines.on('line', (line) => (this.#report = JSON.parse(line) as ClientLine));
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What it said last; undefined before it has called anybody. */
  get report(): ClientReport | undefined {
    return this.#report;
  }

  /** Right answers so far. */
  get answered(): number {
    return Object.values(this.#report?.answers ?? {}).reduce((sum, count) => sum + count, 0);
  }

  /** Ends it once what it has open is answered; throws when it ended in any other way. */
  async finish(): Promise<ClientReport> {
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), END_TIMEOUT_MS);
    const how = await this.#ended;
    clearTimeout(timer);
    if (how === 'exit code 0' && this.#report?.last === true) return this.#report;
    throw new Error(`${this.name} ended with ${how}, expected its report and exit code 0`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
