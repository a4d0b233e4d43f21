import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import pino from 'pino';
import { type BootstrapServer, createBootstrapServer } from '../../bootstrap/index.ts';
import { createNode, type NodeInit, type SwarmNode } from '../../node/index.ts';
import { createMemorySequenceStore } from '../../protocols/release/index.ts';
import {
  type PublishOptions,
  type PublishResult,
  publishVersion,
} from '../../src/client/publisher.ts';
import { createClient, type SwarmClient, type SwarmClientInit } from '../../src/index.ts';
import { packModel } from '../../src/model/package.ts';
import { SwarmPeer } from '../../src/swarm/peer.ts';
import { createTestFolder } from './test-folder.ts';

const LOOPBACK = ['/ip4/127.0.0.1/tcp/0'];

/** News travels fast here, so that tests need not wait: the lease is three of these. */
const ANNOUNCE_INTERVAL_MS = 1_000;

export interface TestnetInit {
  /** @default 1 */
  readonly bootstraps?: number;
  /** @default 2 */
  readonly nodes?: number;
  /** @default 1 */
  readonly clients?: number;
  /** Name of the network. @default one that no other testnet has */
  readonly network?: string;
  /** Multiaddrs that bootstrap servers listen on. @default loopback, any port */
  readonly listen?: readonly string[];
  /** Settings of every node besides those a testnet makes. */
  readonly node?: Partial<NodeInit>;
}

export interface PublishModelOptions extends Partial<PublishOptions> {
  readonly name: string;
  /** Further files of the package beside `model.onnx`. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
}

/** A whole swarm in this process: real peers on loopback, real databases in a folder of their own, real children. */
export interface Testnet extends AsyncDisposable {
  readonly network: string;
  readonly folder: string;
  readonly bootstraps: readonly BootstrapServer[];
  readonly nodes: readonly SwarmNode[];
  readonly clients: readonly SwarmClient[];
  /** The key that {@link publish} signs with. */
  readonly publisherKey: PrivateKey;
  /** Addresses of all bootstrap servers. */
  readonly bootstrapAddresses: readonly string[];
  addNode(init?: Partial<NodeInit>): Promise<SwarmNode>;
  addClient(init?: Partial<SwarmClientInit>): Promise<SwarmClient>;
  /** A peer without a role, such as a publisher. */
  addPeer(): Promise<SwarmPeer>;
  /** Packs and publishes a model from a peer that is gone when this resolves. */
  publish(model: Uint8Array, options: PublishModelOptions): Promise<PublishResult>;
}

/** Starts a swarm; everything of it ends with the scope that holds it. */
export async function createTestnet(init: TestnetInit = {}): Promise<Testnet> {
  const testnet = new RunningTestnet(await createTestFolder(), init);
  try {
    await testnet.start(init);
    return testnet;
  } catch (error) {
    await testnet[Symbol.asyncDispose]();
    throw error;
  }
}

class RunningTestnet implements Testnet {
  readonly network: string;
  readonly folder: string;
  readonly bootstraps: BootstrapServer[] = [];
  readonly nodes: SwarmNode[] = [];
  readonly clients: SwarmClient[] = [];
  readonly #peers: SwarmPeer[] = [];
  readonly #init: TestnetInit;
  readonly #testFolder: AsyncDisposable;
  #publisherKey: PrivateKey | undefined;
  #lastFolder = 0;

  constructor(testFolder: AsyncDisposable & { readonly path: string }, init: TestnetInit) {
    this.#testFolder = testFolder;
    this.folder = testFolder.path;
    this.network = init.network ?? `test-${randomBytes(4).toString('hex')}`;
    this.#init = init;
  }

  get publisherKey(): PrivateKey {
    if (this.#publisherKey === undefined) throw new Error('the testnet is not started');
    return this.#publisherKey;
  }

  get bootstrapAddresses(): readonly string[] {
    return this.bootstraps.flatMap(({ addresses }) => addresses);
  }

  async start({ bootstraps = 1, nodes = 2, clients = 1 }: TestnetInit): Promise<void> {
    this.#publisherKey = await generateKeyPair('Ed25519');
    for (let index = 0; index < bootstraps; index += 1) await this.#addBootstrap();
    await Promise.all(Array.from({ length: nodes }, () => this.addNode()));
    await Promise.all(Array.from({ length: clients }, () => this.addClient()));
  }

  async addNode(init: Partial<NodeInit> = {}): Promise<SwarmNode> {
    const node = await createNode({
      dataDir: this.#nextFolder('node'),
      network: this.network,
      bootstrap: this.bootstrapAddresses,
      listen: LOOPBACK,
      mdns: false,
      allowPublishers: 'any',
      maxCores: 1,
      threads: 1,
      announceIntervalMs: ANNOUNCE_INTERVAL_MS,
      // What is tested elsewhere stays where it was published.
      scaling: false,
      logger: pino({ level: 'silent' }),
      ...this.#init.node,
      ...init,
    });
    this.nodes.push(node);
    return node;
  }

  async addClient(init: Partial<SwarmClientInit> = {}): Promise<SwarmClient> {
    const client = await createClient({
      bootstrap: this.bootstrapAddresses,
      network: this.network,
      ...init,
    });
    this.clients.push(client);
    return client;
  }

  async addPeer(): Promise<SwarmPeer> {
    const peer = await SwarmPeer.start({
      network: this.network,
      privateKey: await generateKeyPair('Ed25519'),
      dhtMode: 'client',
      bootstrap: this.bootstrapAddresses,
      sequences: createMemorySequenceStore(),
    });
    this.#peers.push(peer);
    await peer.connected(AbortSignal.timeout(10_000));
    return peer;
  }

  async publish(
    model: Uint8Array,
    { name, files = {}, ...options }: PublishModelOptions,
  ): Promise<PublishResult> {
    const folder = this.#nextFolder('package');
    await mkdir(folder);
    await writeFile(path.join(folder, 'model.onnx'), model);
    for (const [file, content] of Object.entries(files)) {
      await writeFile(path.join(folder, file), content);
    }
    await using version = await packModel(folder);
    const peer = await this.addPeer();
    try {
      return await publishVersion(peer, version, {
        signal: AbortSignal.timeout(30_000),
        key: this.publisherKey,
        ...options,
        name,
      });
    } finally {
      await peer.stop();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.clients.map((client) => client.close()));
    await Promise.all(this.#peers.map((peer) => peer.stop()));
    await Promise.all(this.nodes.map((node) => node.stop()));
    await Promise.all(this.bootstraps.map((server) => server.stop()));
    await this.#testFolder[Symbol.asyncDispose]();
  }

  async #addBootstrap(): Promise<void> {
    this.bootstraps.push(
      await createBootstrapServer({
        dataDir: this.#nextFolder('bootstrap'),
        network: this.network,
        bootstrap: this.bootstrapAddresses,
        listen: this.#init.listen ?? LOOPBACK,
        mdns: false,
        logger: pino({ level: 'silent' }),
      }),
    );
  }

  #nextFolder(role: string): string {
    this.#lastFolder += 1;
    return path.join(this.folder, `${role}-${this.#lastFolder}`);
  }
}
