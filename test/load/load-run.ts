import { setTimeout as delay } from 'node:timers/promises';
import { createClient, type SwarmClient } from '../../src/index.ts';
import { seededRandom } from '../../src/sim/random.ts';
import { addModel } from '../support/models.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';
import { childrenOf } from '../support/process-tree.ts';
import { type Disturbance, type LoadNode, type Planned, planDisturbance } from './disturbance.ts';
import { LoadClient } from './load-client.ts';
import { LoadGateway } from './load-gateway.ts';
import { type LoadModel, type LoadReport, reportOf } from './load-report.ts';
import { MemoryRecord } from './memory-record.ts';

const NODES = 3;

/** Things that happen at once at most: with three nodes, one is left that is well. */
const DISTURBERS = 2;

/** Milliseconds between two of them, at most. */
const MAX_QUIET_MS = 6_000;

/** How long a node that was started again may take until it is READY for every model. */
const READY_TIMEOUT_MS = 60_000;

const LOOK_INTERVAL_MS = 200;

/** Milliseconds between two looks at the memory of all processes. */
const MEMORY_INTERVAL_MS = 2_000;

export interface LoadInit {
  readonly durationMs: number;
  /** The same seed draws the same calls and disturbances; where they meet depends on the machine. */
  readonly seed: number;
  /** Calls a second of all clients together. */
  readonly callsPerSecond: number;
  /** Callers of a gateway, in place of clients of the swarm itself. @default none */
  readonly gatewayCallers?: number | undefined;
  /** Ends the run early. */
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
}

/** Runs clients against nodes that are killed, stopped and frozen at random, all of them processes of their own, and says what came of it. */
export async function runLoad(init: LoadInit): Promise<LoadReport> {
  await using swarm = await ProcessSwarm.create();
  await using run = await LoadRun.open(swarm, init);
  return await run.run();
}

class LoadRun implements AsyncDisposable {
  readonly #swarm: ProcessSwarm;
  readonly #init: LoadInit;
  readonly #random: () => number;
  readonly #nodes: readonly LoadNode[];
  readonly #models: readonly LoadModel[];
  readonly #observer: SwarmClient;
  readonly #memory = new MemoryRecord();
  readonly #disturbed: Record<Disturbance, number> = { kill: 0, stop: 0, freeze: 0 };
  /** Processes that ended without being told to. */
  readonly #crashes: string[] = [];
  readonly #ending = new AbortController();
  #clients: readonly LoadClient[] = [];
  #gateway: LoadGateway | undefined;

  static async open(swarm: ProcessSwarm, init: LoadInit): Promise<LoadRun> {
    const names = Array.from({ length: NODES }, (_, index) => `node-${index + 1}`);
    const nodes = await Promise.all(
      names.map(async (name, index) => ({
        name,
        mortal: index > 0,
        daemon: await swarm.startNode(name),
        disturbed: false,
      })),
    );
    const models: LoadModel[] = [];
    for (const offset of [1, 1_000]) {
      const name = `adder-${offset}`;
      const { reference, version } = await swarm.publish(name, { 'model.onnx': addModel(offset) }, [
        '--replicas',
        String(NODES),
      ]);
      models.push({ reference, version, offset });
    }
    const observer = await createClient({ bootstrap: [swarm.bootstrap.address] });
    return new LoadRun(swarm, init, { nodes, models, observer });
  }

  private constructor(
    swarm: ProcessSwarm,
    init: LoadInit,
    parts: {
      readonly nodes: readonly LoadNode[];
      readonly models: readonly LoadModel[];
      readonly observer: SwarmClient;
    },
  ) {
    this.#swarm = swarm;
    this.#init = init;
    this.#random = seededRandom(init.seed);
    this.#nodes = parts.nodes;
    this.#models = parts.models;
    this.#observer = parts.observer;
    for (const node of this.#nodes) this.#watch(node);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#clients.map((client) => client[Symbol.asyncDispose]()));
    await this.#gateway?.[Symbol.asyncDispose]();
    // Who stands still does not hear that it is to end.
    for (const { daemon } of this.#nodes) signalTo(daemon.pid, 'SIGCONT');
    await this.#observer.close();
  }

  async run(): Promise<LoadReport> {
    const { durationMs, signal, gatewayCallers } = this.#init;
    if (gatewayCallers !== undefined) {
      this.#gateway = await LoadGateway.start(this.#swarm, this.#models);
    }
    const startedAtMs = performance.now();
    const endsAtMs = startedAtMs + durationMs;
    this.#clients = this.#startClients();
    const over = AbortSignal.any([signal, this.#ending.signal, AbortSignal.timeout(durationMs)]);
    const disturbers = Array.from({ length: DISTURBERS }, () => this.#disturb(over));
    await Promise.all([...disturbers, this.#lookAtMemory(over)]);
    this.#init.signal.throwIfAborted();
    const reports = await Promise.all(this.#clients.map((client) => client.finish()));
    return reportOf({
      seed: this.#init.seed,
      durationMs,
      reports,
      disturbed: this.#disturbed,
      crashes: this.#crashes,
      memory: this.#memory.growth(startedAtMs + durationMs / 2, endsAtMs),
    });
  }

  #startClients(): LoadClient[] {
    const { seed, gatewayCallers: callers = 0 } = this.#init;
    const http = this.#gateway?.http;
    if (http === undefined) {
      return (['full', 'light'] as const).map((mode, index) => this.#client(mode, index));
    }
    void this.#gateway?.ended.then((how) => {
      if (!this.#ending.signal.aborted) this.#crashes.push(`the gateway ended with ${how}`);
    });
    const models = this.#models;
    return [new LoadClient({ name: 'callers', program: 'gateway', http, callers, seed, models })];
  }

  #client(mode: 'full' | 'light', index: number): LoadClient {
    const { seed, callsPerSecond } = this.#init;
    return new LoadClient({
      name: `${mode} client`,
      program: 'swarm',
      bootstrap: [this.#swarm.bootstrap.address],
      mode,
      seed: seed + index + 1,
      callsPerSecond: callsPerSecond / 2,
      models: this.#models,
    });
  }

  /** Disturbs one node after the other until it is over; the last one is well again when this resolves. */
  async #disturb(over: AbortSignal): Promise<void> {
    for (;;) {
      await pause(this.#random() * MAX_QUIET_MS, over);
      if (over.aborted) return;
      const planned = planDisturbance(this.#nodes, this.#random);
      if (planned === undefined) continue;
      planned.node.disturbed = true;
      await this.#apply(planned);
      planned.node.disturbed = false;
      this.#disturbed[planned.kind] += 1;
    }
  }

  async #apply({ node, kind, forMs }: Planned): Promise<void> {
    const { name, daemon } = node;
    this.#init.progress(`${kind} ${name} for ${Math.round(forMs)} ms`);
    if (kind === 'freeze') {
      signalTo(daemon.pid, 'SIGSTOP');
      await delay(forMs);
      signalTo(daemon.pid, 'SIGCONT');
      return this.#ready(node, Date.now());
    }
    if (kind === 'kill') await daemon.kill();
    else await daemon.stop();
    await delay(forMs);
    const startedAtMs = Date.now();
    node.daemon = await this.#swarm.startNode(name);
    this.#watch(node);
    await this.#ready(node, startedAtMs);
  }

  /** Waits until the swarm has heard, since then, that a node is READY for every model. */
  async #ready({ name, daemon }: LoadNode, sinceMs: number): Promise<void> {
    const signal = AbortSignal.timeout(READY_TIMEOUT_MS);
    for (;;) {
      const replicas = await this.#observer.replicas({ signal });
      const ready = replicas.filter(
        ({ node, version, heardAtMs }) =>
          node.announcement.node === daemon.id && version.state === 'ready' && heardAtMs > sinceMs,
      );
      if (this.#models.every(({ version }) => ready.some((one) => one.version.cid === version))) {
        return;
      }
      if (signal.aborted) {
        throw new Error(`${name} was not READY again within ${READY_TIMEOUT_MS} ms`);
      }
      await delay(LOOK_INTERVAL_MS);
    }
  }

  #watch(node: LoadNode): void {
    const { name, daemon } = node;
    void daemon.ended.then((how) => {
      const expected = node.disturbed || node.daemon !== daemon || this.#ending.signal.aborted;
      if (!expected) this.#crashes.push(`${name} ended with ${how}`);
    });
  }

  async #lookAtMemory(over: AbortSignal): Promise<void> {
    for (;;) {
      await pause(MEMORY_INTERVAL_MS, over);
      if (over.aborted) return;
      await this.#memory.look(await this.#processes(), performance.now());
    }
  }

  /** Every process of the swarm and its clients, by a name that no later one has. */
  async #processes(): Promise<ReadonlyMap<string, number>> {
    const found = new Map([['bootstrap', this.#swarm.bootstrap.pid]]);
    for (const { name, pid } of this.#clients) found.set(name, pid);
    if (this.#gateway !== undefined) found.set('gateway', this.#gateway.pid);
    for (const { name, daemon } of this.#nodes) {
      found.set(`${name}, process ${daemon.pid}`, daemon.pid);
      for (const { pid } of await childrenOf(daemon.pid).catch(() => [])) {
        found.set(`model of ${name}, process ${pid}`, pid);
      }
    }
    return found;
  }
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended meanwhile: whoever watches it says so.
  }
}

async function pause(ms: number, over: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal: over }).catch(() => {
    // Over: whoever waits looks at the signal.
  });
}
