import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { SwarmNode } from '../../node/index.ts';
import { isSwarmError } from '../../protocols/errors.ts';
import type { Manifest } from '../../protocols/manifest/index.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';
import { publishVersion } from '../../src/client/publisher.ts';
import type { SwarmClient } from '../../src/index.ts';
import { formatGoldenFile } from '../../src/model/golden-file.ts';
import { packModel } from '../../src/model/package.ts';
import {
  describeOutputDifference,
  findOutputDifference,
} from '../../src/policy/output-comparison.ts';
import type { SwarmPeer } from '../../src/swarm/peer.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';
import { type DataSet, type OnnxCase, readDataSets, TOLERANCE } from './onnx-case.ts';
import { tensorOf } from './tensor-proto.ts';

/** Milliseconds a publication may take. */
const PUBLISH_LIMIT_MS = 90_000;

/** Milliseconds a call may take, with the first of a network whose weights the graph makes. */
const CALL_LIMIT_MS = 60_000;

/** What the swarm does with a test. */
export interface SwarmVerdict {
  readonly outcome: 'right' | 'wrong' | 'refused' | 'failed';
  /** Who said so, when it was not answered right. */
  readonly by: 'publisher' | 'node' | 'call' | null;
  readonly code: string;
  readonly reason: string;
  /** Milliseconds from the file to READY, and from the call to its last answer. */
  readonly publishMs: number;
  readonly inferMs: number;
}

/** Codes that say to an owner or caller what is wrong with the model or the input; any other end is a failure of ours. */
const REFUSALS: ReadonlySet<string> = new Set(['ERR_INVALID_MODEL', 'ERR_INVALID_INPUT']);

export interface SwarmWayInit {
  /** Peers that publish at the same time, each one version after another. */
  readonly publishers: number;
  /** Whether each version brings what its test expects as golden vectors, which the node answers before it serves. */
  readonly golden: boolean;
}

/**
 * A swarm through which tests go as a user's models do: published by a peer of its own, fetched by a node that checks every
 * block, loaded in a child process there, released, resolved by a client, and called over the network.
 */
export class SwarmWay implements AsyncDisposable {
  readonly #testnet: Testnet;
  /** Publishers with nothing to do; each serves the blocks of one version at a time. */
  readonly #idle: SwarmPeer[];
  readonly #waiting: ((publisher: SwarmPeer) => void)[] = [];
  readonly #client: SwarmClient;
  readonly #golden: boolean;
  #nodes: SwarmNode[];

  static async start({ publishers, golden }: SwarmWayInit): Promise<SwarmWay> {
    const testnet = await createTestnet({
      nodes: 1,
      clients: 0,
      // All peers of this network share two cores: they speak late.
      node: { announceIntervalMs: 5_000, executionLimitMs: CALL_LIMIT_MS },
    });
    try {
      const client = await testnet.addClient({ deadlineMs: CALL_LIMIT_MS });
      const peers = Array.from({ length: publishers }, () => testnet.addPeer());
      return new SwarmWay(testnet, await Promise.all(peers), client, golden);
    } catch (error) {
      await testnet[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(
    testnet: Testnet,
    publishers: SwarmPeer[],
    client: SwarmClient,
    golden: boolean,
  ) {
    this.#testnet = testnet;
    this.#golden = golden;
    this.#idle = publishers;
    this.#client = client;
    this.#nodes = [...testnet.nodes];
  }

  /** Replaces the node by one that holds nothing: a process for each version is more than a machine has room for. */
  async renewNode(): Promise<void> {
    const before = this.#nodes;
    this.#nodes = [await this.#testnet.addNode()];
    await Promise.all(before.map((node) => node.stop()));
  }

  /** Takes one test all the way, as soon as a publisher is idle. */
  async judge(test: OnnxCase, signal: AbortSignal): Promise<SwarmVerdict> {
    const publisher =
      this.#idle.pop() ?? (await new Promise<SwarmPeer>((free) => this.#waiting.push(free)));
    const startMs = performance.now();
    let published: Published;
    try {
      published = await this.#publish(test, publisher, signal);
    } catch (error) {
      signal.throwIfAborted();
      return { ...ended(error, 'publisher'), publishMs: performance.now() - startMs, inferMs: 0 };
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#idle.push(publisher);
      else next(publisher);
    }
    const calledMs = performance.now();
    const verdict = await this.#call(test, published, signal);
    const [publishMs, inferMs] = [calledMs - startMs, performance.now() - calledMs];
    return { ...verdict, publishMs, inferMs };
  }

  async #publish(test: OnnxCase, peer: SwarmPeer, signal: AbortSignal): Promise<Published> {
    await using version = await packModel(this.#golden ? await this.#packageOf(test) : test.model, {
      signal,
    });
    const { publisher, name } = await publishVersion(peer, version, {
      name: modelName(test),
      key: this.#testnet.publisherKey,
      replicas: 1,
      signal: AbortSignal.any([signal, AbortSignal.timeout(PUBLISH_LIMIT_MS)]),
    });
    return { reference: `${publisher}/${name}`, manifest: version.manifest };
  }

  /** The test as a package: what it gives and expects becomes the version's golden vectors. */
  async #packageOf(test: OnnxCase): Promise<string> {
    const folder = path.join(this.#testnet.folder, modelName(test));
    await mkdir(folder);
    await copyFile(test.model, path.join(folder, 'model.onnx'));
    const sets = await readDataSets(test);
    const carries = sets.every(({ inputs }) => inputs.every((value) => named(value) !== undefined));
    // What cannot be carried is refused for the model itself: vectors would only hide that.
    if (!carries) return folder;
    const cases = sets.map(({ inputs, outputs }) => ({
      inputs: inputs.flatMap((value) => named(value) ?? []),
      outputs: outputs.flatMap((value) => named(value) ?? []),
      tolerance: TOLERANCE,
    }));
    await writeFile(path.join(folder, 'golden.json'), formatGoldenFile(cases));
    return folder;
  }

  async #call(
    test: OnnxCase,
    { reference, manifest }: Published,
    signal: AbortSignal,
  ): Promise<Ended> {
    try {
      for (const set of await readDataSets(test)) {
        const { inputs, outputs } = carried(set, manifest);
        const answer = await this.#client.infer(reference, inputs, { signal });
        const found = Object.entries(answer.outputs);
        const difference = findOutputDifference(
          outputs,
          found.map(([name, tensor]) => ({ name, tensor })),
          () => TOLERANCE,
        );
        if (difference !== undefined) {
          const reason = describeOutputDifference(difference);
          return { outcome: 'wrong', by: 'call', code: '', reason };
        }
      }
      return { outcome: 'right', by: null, code: '', reason: '' };
    } catch (error) {
      signal.throwIfAborted();
      return ended(error, 'call');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#testnet[Symbol.asyncDispose]();
  }
}

interface Published {
  readonly reference: string;
  readonly manifest: Manifest;
}

type Ended = Omit<SwarmVerdict, 'publishMs' | 'inferMs'>;

/** `node/test_Add-1` as a model may be called: `node-test-add-1`. */
function modelName({ name }: OnnxCase): string {
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  return plain.length <= 64
    ? plain
    : `${plain.slice(0, 32)}-${plain.slice(-31)}`.replaceAll(/-+/g, '-');
}

/** What of a test's values the version takes and gives: outputs that no answer can carry are left out of it. */
function carried(set: DataSet, manifest: Manifest) {
  const served = new Set(manifest.outputs.map(({ name }) => name));
  const values = (of: DataSet['inputs']) => of.flatMap((value) => named(value) ?? []);
  return {
    inputs: Object.fromEntries(values(set.inputs).map(({ name, tensor }) => [name, tensor])),
    outputs: values(set.outputs).filter(({ name }) => served.has(name)),
  };
}

/** A value as requests and answers have it; undefined when they cannot carry it. */
function named({ name, ...value }: DataSet['inputs'][number]): NamedTensor | undefined {
  const tensor = value.kind === 'tensor' ? tensorOf(value.tensor) : undefined;
  return tensor === undefined ? undefined : { name, tensor };
}

/** How a publication or a call that threw ended; nodes that refuse are named by the publication's error. */
function ended(error: unknown, by: 'publisher' | 'call'): Ended {
  const message = error instanceof Error ? error.message : String(error);
  if (!isSwarmError(error)) return { outcome: 'failed', by, code: '', reason: message };
  const { refusals } = error.details as { refusals?: readonly { code: string; message: string }[] };
  const refusal = refusals?.[0];
  const { code, message: reason } = refusal ?? error;
  const outcome = REFUSALS.has(code) ? 'refused' : 'failed';
  return { outcome, by: refusal === undefined ? by : 'node', code, reason };
}
