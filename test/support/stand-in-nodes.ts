import { randomBytes } from 'node:crypto';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { PrivateKey, Stream } from '@libp2p/interface';
import {
  handleInference,
  INFERENCE_VERSION,
  type InferenceHandler,
} from '../../protocols/inference/index.ts';
import { protocolId } from '../../protocols/protocol-id.ts';
import type { ModelRef } from '../../protocols/reference.ts';
import type { LoadReport, NodeId, OwnerId } from '../../protocols/types.ts';
import { InferenceRouter, type RouterInit } from '../../src/client/inference-router.ts';
import type { CallResolver } from '../../src/client/routed-call.ts';
import type { SwarmPeer } from '../../src/swarm/peer.ts';
import { createAnnouncedPeer, IDLE, PUBLISHER, startLonePeer } from './announced-peer.ts';
import { VERSION } from './inference-peers.ts';
import type { TcpProxy } from './tcp-proxy.ts';

export const REF: ModelRef = {
  publisher: PUBLISHER,
  name: 'stand-in',
  selector: { kind: 'version', cid: VERSION },
};

/** Knows the one version, and nobody to ask about it. */
const RESOLVER: CallResolver = {
  resolve: async () => ({
    ...{ publisher: PUBLISHER, name: REF.name, cid: VERSION },
    ...{ sequence: 0, channel: null, fellBack: false },
  }),
  refresh: async () => {},
  hint: () => {},
};

/** What a stand-in does with each stream that is opened to it. */
export type Serve = (stream: Stream, caller: string) => void;

export interface StandInOptions {
  /** Its own key. @default a fresh one */
  readonly key?: PrivateKey | undefined;
  /** The key of its owner. @default its own */
  readonly ownerKey?: PrivateKey | undefined;
  /** What it is dialled through. @default nothing */
  readonly proxy?: TcpProxy | undefined;
}

export interface StandIn {
  readonly id: NodeId;
  readonly owner: OwnerId;
  readonly peer: SwarmPeer;
}

/**
 * A client's router on real connections, among peers that only say they are nodes: each does with the streams opened to it what
 * the test says.
 */
export class StandInNodes implements AsyncDisposable {
  readonly router: InferenceRouter;
  readonly client: SwarmPeer;
  readonly #network: string;
  readonly #peers: SwarmPeer[] = [];

  static async create(init: RouterInit = {}): Promise<StandInNodes> {
    loaded ??= connectOnce();
    await loaded;
    const network = networkName();
    return new StandInNodes(network, await startLonePeer(network), init);
  }

  private constructor(network: string, client: SwarmPeer, init: RouterInit) {
    this.#network = network;
    this.client = client;
    this.router = new InferenceRouter(client, RESOLVER, init);
  }

  /** A peer that the client believes to be READY. */
  async add(
    serve: Serve | InferenceHandler,
    load: LoadReport = IDLE,
    state: 'ready' | 'loading' = 'ready',
    { key, ownerKey, proxy }: StandInOptions = {},
  ): Promise<StandIn> {
    const node = await createAnnouncedPeer(this.#network, {
      privateKey: key ?? (await generateKeyPair('Ed25519')),
      ownerKey,
      listen: [proxy?.behind ?? '/ip4/127.0.0.1/tcp/0'],
      announce: proxy && [proxy.address],
    });
    const { id, owner, peer } = node;
    this.#peers.push(peer);
    const answer: Serve =
      typeof serve === 'function'
        ? serve
        : (stream, caller) => void handleInference(stream, caller, serve);
    await peer.libp2p.handle(
      protocolId(this.#network, 'inference', INFERENCE_VERSION),
      (stream, connection) => answer(stream, connection.remotePeer.toString()),
    );
    await node.announce(VERSION, [this.client], { name: REF.name, state, load });
    return { id, owner, peer };
  }

  /**
   * Has the client connected to all of them, so that no request waits for a dial: of one that takes long a second node is asked
   * too, which is right and would be counted.
   */
  async connect(): Promise<void> {
    for (const { libp2p } of this.#peers) await this.client.libp2p.dial(libp2p.getMultiaddrs());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.router.close();
    await Promise.all([this.client, ...this.#peers].map((peer) => peer.stop()));
  }
}

let loaded: Promise<void> | undefined;

/** The first connection of a process loads TLS, for seconds on a busy machine: no call that a test gives a deadline is to wait for that. */
async function connectOnce(): Promise<void> {
  const network = networkName();
  const listening = await startLonePeer(network, { listen: ['/ip4/127.0.0.1/tcp/0'] });
  const dialling = await startLonePeer(network);
  try {
    await dialling.libp2p.dial(listening.libp2p.getMultiaddrs());
  } finally {
    await Promise.all([listening.stop(), dialling.stop()]);
  }
}

function networkName(): string {
  return `test-${randomBytes(4).toString('hex')}`;
}
