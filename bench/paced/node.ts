/** A whole node in a process of its own, whose models take as long as they are told to. */
import pino from 'pino';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { createNode, type SwarmNode } from '../../node/index.ts';
import type { ScalingInit } from '../../src/policy/scaling/scaling-settings.ts';
import { tuneGarbageCollection } from '../../src/cli/garbage-collection.ts';
import { endOf, type NodeSpec } from '../../src/sim/traffic.ts';
import { PacedBackend } from '../../test/support/paced-backend.ts';
import { answerQuestions } from '../worker.ts';
import { workOf } from './model.ts';

/** Milliseconds between announcements, as a node has it by default. */
const ANNOUNCE_INTERVAL_MS = 10_000;

export interface StartQuestion {
  readonly folder: string;
  readonly network: string;
  readonly bootstrap: readonly string[];
  readonly serviceMs: number;
  readonly listen: string;
  /** How it scales; undefined for as a node does by default. */
  readonly scaling?: ScalingInit | undefined;
}

/** Replicas of a node by their state. */
export interface HeldReplicas {
  readonly ready: number;
  readonly loading: number;
}

export interface StartedNode {
  readonly id: string;
  readonly address: string;
  readonly pid: number;
}

export type NodeQuestions = {
  readonly start: { readonly ask: StartQuestion; readonly answer: StartedNode };
  /** From `epochMs` on, by the system's clock, the node pauses as its spec says. */
  readonly follow: {
    readonly ask: { readonly spec: NodeSpec; readonly epochMs: number };
    readonly answer: null;
  };
  /** Requests that run or wait. */
  readonly waiting: { readonly ask: null; readonly answer: number };
  readonly replicas: { readonly ask: null; readonly answer: HeldReplicas };
};

let node: SwarmNode | undefined;
let spec: NodeSpec = { name: '', serviceMs: 0, pauses: [] };
let epochMs = 0;

tuneGarbageCollection();
answerQuestions<NodeQuestions>(
  {
    async start({ folder, network, bootstrap, serviceMs, listen, scaling }) {
      spec = { name: '', serviceMs, pauses: [] };
      node = await createNode({
        dataDir: folder,
        network,
        bootstrap,
        listen: [listen],
        mdns: false,
        allowPublishers: 'any',
        maxCores: 1,
        threads: 1,
        announceIntervalMs: ANNOUNCE_INTERVAL_MS,
        ...(scaling === undefined ? {} : { scaling }),
        backend: new PacedBackend(
          createOnnxBackend({ threads: 1 }),
          (beginMs, inputs) =>
            epochMs + endOf(spec, beginMs - epochMs, workOf(inputs) * spec.serviceMs),
        ),
        logger: pino({ level: 'warn' }, pino.destination(2)),
      });
      const [address] = node.addresses;
      if (address === undefined) throw new Error('expected an address, found none');
      return { id: node.id, address, pid: process.pid };
    },
    async follow(ask) {
      ({ spec, epochMs } = ask);
      return null;
    },
    async waiting() {
      const loads = node?.replicas.announced().map(({ load }) => load) ?? [];
      return loads.reduce((sum, { inFlight, queued }) => sum + inFlight + queued, 0);
    },
    async replicas() {
      const states = node?.replicas.announced().map(({ state }) => state) ?? [];
      const count = (of: string) => states.filter((state) => state === of).length;
      return { ready: count('ready'), loading: count('loading') };
    },
  },
  async () => node?.stop(),
);
