import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Deployment } from '../../protocols/manifest/index.ts';
import type { ScalingInit } from '../../src/policy/scaling/scaling-settings.ts';
import type { NodeSpec, Traffic } from '../../src/sim/traffic.ts';
import { createTestnet, type Testnet } from '../../test/support/testnet.ts';
import type { PolicyName } from '../balance/policies.ts';
import { ASK_TIMEOUT_MS, WorkerProcess } from '../worker-process.ts';
import type { ClientQuestions, Sent } from './client.ts';
import { MODEL_BYTES, MODEL_NAME } from './model.ts';
import type { NodeQuestions, StartedNode } from './node.ts';

const LISTEN = '/ip4/127.0.0.1/tcp/0';
const ANYWHERE = '/ip4/0.0.0.0/tcp/0';

/** Milliseconds until the traffic begins, for all to hear of it. */
const LEAD_MS = 300;

/** Milliseconds for nodes to be done with what is left of the traffic before. */
const IDLE_TIMEOUT_MS = 30_000;

/** Where a node is. */
export interface NodePlace {
  /** @default loopback, any port */
  readonly listen: string;
  /** The command that takes its process there. */
  readonly through?: readonly string[] | undefined;
  /** The address by which others are reached from there. */
  readonly host?: string | undefined;
}

export interface PacedSwarmInit {
  readonly specs: readonly NodeSpec[];
  /** Of each node, in the order of the specs. @default on this host's loopback */
  readonly places?: readonly (NodePlace | undefined)[] | undefined;
  /** Nodes that are to have the model at first. @default all */
  readonly replicas?: number | undefined;
  /** Of the model. @default what a manifest has by default */
  readonly deployment?: Deployment | undefined;
  /** How the nodes scale. @default as nodes do */
  readonly scaling?: ScalingInit | undefined;
}

export interface PacedNode extends StartedNode {
  readonly worker: WorkerProcess<NodeQuestions>;
  readonly spec: NodeSpec;
}

/** A swarm of whole nodes, each in a process of its own, that hold one model and keep to service times. */
export class PacedSwarm implements AsyncDisposable {
  readonly nodes: readonly PacedNode[];
  readonly ref: string;
  readonly #testnet: Testnet;
  readonly #ends: AsyncDisposableStack;

  private constructor(
    testnet: Testnet,
    nodes: readonly PacedNode[],
    init: { readonly ref: string; readonly ends: AsyncDisposableStack },
  ) {
    this.#testnet = testnet;
    this.nodes = nodes;
    this.ref = init.ref;
    this.#ends = init.ends;
  }

  /** Resolves when the model is READY on as many as are to have it. */
  static async start(init: PacedSwarmInit): Promise<PacedSwarm> {
    const { specs, places = [], replicas = specs.length, deployment, scaling } = init;
    await using ends = new AsyncDisposableStack();
    // Also for nodes that are in a network of their own.
    const listen = places.some((place) => place?.host !== undefined) ? ANYWHERE : LISTEN;
    const testnet = ends.use(await createTestnet({ nodes: 0, clients: 0, listen: [listen] }));
    const { network, bootstrapAddresses: bootstrap } = testnet;
    const nodes = await Promise.all(
      specs.map(async (spec, index): Promise<PacedNode> => {
        const what = `node ${spec.name}`;
        const module = new URL('node.ts', import.meta.url);
        const { listen, through, host } = places[index] ?? { listen: LISTEN };
        const worker = ends.adopt(
          await WorkerProcess.start<NodeQuestions>(module, { what, through }),
          async (process) => process.stop(),
        );
        const folder = path.join(testnet.folder, `paced-${index}`);
        const { serviceMs } = spec;
        const seen = seenFrom(host, bootstrap);
        const ask = { folder, network, bootstrap: seen, serviceMs, listen, scaling };
        return { ...(await worker.ask('start', ask)), worker, spec };
      }),
    );
    const { publisher } = await testnet.publish(MODEL_BYTES, {
      name: MODEL_NAME,
      replicas,
      files: deployment === undefined ? {} : { 'swarm.json': JSON.stringify({ deployment }) },
    });
    const ref = `${publisher}/${MODEL_NAME}`;
    return new PacedSwarm(testnet, nodes, { ref, ends: ends.move() });
  }

  /** Clients of one policy, each in a process of its own. */
  async startClients(policy: PolicyName, count: number): Promise<PacedClients> {
    const { network, bootstrapAddresses: bootstrap } = this.#testnet;
    const workers = await Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const module = new URL('client.ts', import.meta.url);
        const what = `client ${index} of ${policy}`;
        const worker = await WorkerProcess.start<ClientQuestions>(module, { what });
        await worker.ask('join', { bootstrap, network, policy });
        return worker;
      }),
    );
    return new PacedClients(workers);
  }

  /** Has the clients send the traffic while the nodes keep to their specs, and something else happen meanwhile. */
  async run(
    clients: PacedClients,
    traffic: Traffic,
    deadlineMs: number,
    meanwhile?: (epochMs: number) => Promise<void>,
  ): Promise<Sent[]> {
    await this.#idle();
    const epochMs = Date.now() + LEAD_MS;
    await Promise.all(
      this.nodes.map(({ worker, spec }) => worker.ask('follow', { spec, epochMs })),
    );
    const [sent] = await Promise.all([
      clients.send(this.ref, traffic, { epochMs, deadlineMs }),
      meanwhile?.(epochMs),
    ]);
    return sent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ends[Symbol.asyncDispose]();
  }

  async #idle(): Promise<void> {
    const signal = AbortSignal.timeout(IDLE_TIMEOUT_MS);
    for (;;) {
      const waiting = await Promise.all(
        this.nodes.map(({ worker }) => worker.ask('waiting', null)),
      );
      if (waiting.every((count) => count === 0)) return;
      await sleep(50, undefined, { signal });
    }
  }
}

/** The clients' processes of one policy. */
export class PacedClients implements AsyncDisposable {
  readonly #workers: readonly WorkerProcess<ClientQuestions>[];

  constructor(workers: readonly WorkerProcess<ClientQuestions>[]) {
    this.#workers = workers;
  }

  async send(
    ref: string,
    { arrivals, durationMs }: Traffic,
    { epochMs, deadlineMs }: { readonly epochMs: number; readonly deadlineMs: number },
  ): Promise<Sent[]> {
    const timeoutMs = ASK_TIMEOUT_MS + durationMs + deadlineMs;
    const sent = await Promise.all(
      this.#workers.map(async (worker, index) => {
        const own = arrivals.filter(({ client }) => client === index);
        return worker.ask('send', { ref, epochMs, deadlineMs, arrivals: own }, timeoutMs);
      }),
    );
    return sent.flat().sort((a, b) => a.atMs - b.atMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }
}

/** The addresses that a node in a network of its own can dial. */
function seenFrom(host: string | undefined, addresses: readonly string[]): readonly string[] {
  if (host === undefined) return addresses;
  return addresses.filter((address) => address.startsWith(`/ip4/${host}/`));
}
