import { randomBytes } from 'node:crypto';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { PrivateKey, Stream } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { signAnnouncement, signOwnerCertificate } from '../../protocols/capacity/index.ts';
import {
  handleInference,
  INFERENCE_VERSION,
  type InferenceHandler,
} from '../../protocols/inference/index.ts';
import { protocolId } from '../../protocols/protocol-id.ts';
import type { ModelRef } from '../../protocols/reference.ts';
import { createMemorySequenceStore } from '../../protocols/release/index.ts';
import type { LoadReport, NodeId, OwnerId, PublisherId } from '../../protocols/types.ts';
import { InferenceRouter, type RouterInit } from '../../src/client/inference-router.ts';
import type { CallResolver } from '../../src/client/routed-call.ts';
import { SwarmPeer, type SwarmPeerInit } from '../../src/swarm/peer.ts';
import { VERSION } from './inference-peers.ts';
import type { TcpProxy } from './tcp-proxy.ts';

export const IDLE: LoadReport = { inFlight: 0, queued: 0, slots: 1, serviceMs: 5 };

const PUBLISHER = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5' as PublisherId;

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

interface Announced {
  readonly load: LoadReport;
  readonly state: 'ready' | 'loading';
  readonly owner: OwnerId;
  readonly ownerCertificate: Uint8Array;
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
    const network = `test-${randomBytes(4).toString('hex')}`;
    return new StandInNodes(
      network,
      await startPeer(network, await generateKeyPair('Ed25519'), {}),
      init,
    );
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
    const privateKey = key ?? (await generateKeyPair('Ed25519'));
    const peer = await startPeer(this.#network, privateKey, {
      listen: [proxy?.behind ?? '/ip4/127.0.0.1/tcp/0'],
      announce: proxy && [proxy.address],
    });
    this.#peers.push(peer);
    const answer: Serve =
      typeof serve === 'function'
        ? serve
        : (stream, caller) => void handleInference(stream, caller, serve);
    await peer.libp2p.handle(
      protocolId(this.#network, 'inference', INFERENCE_VERSION),
      (stream, connection) => answer(stream, connection.remotePeer.toString()),
    );
    const owners = ownerKey ?? privateKey;
    const owner = peerIdFromPrivateKey(owners).toString() as OwnerId;
    const ownerCertificate = await signOwnerCertificate(peer.id, owners);
    await this.#announce(peer, privateKey, {
      ...{ load, state, owner, ownerCertificate },
    });
    return { id: peer.id, owner, peer };
  }

  async #announce(
    peer: SwarmPeer,
    privateKey: PrivateKey,
    { load, state, ...said }: Announced,
  ): Promise<void> {
    const announcement = {
      node: peer.id,
      sequence: Date.now(),
      leaseMs: 600_000,
      addresses: peer.libp2p
        .getMultiaddrs()
        .map((address) => address.decapsulate('/p2p').toString()),
      ...said,
      zone: '',
      state: 'serving' as const,
      devices: [],
      memoryTotalBytes: 0,
      memoryFreeBytes: 0,
      agent: 'stand-in',
      versions: [
        {
          cid: VERSION,
          publisher: PUBLISHER,
          name: 'stand-in',
          state,
          load,
          ...(state === 'loading' ? { etaMs: 60_000 } : {}),
        },
      ],
    };
    const bytes = await signAnnouncement(announcement, privateKey);
    this.client.view.add(announcement, bytes, Date.now());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.router.close();
    await Promise.all([this.client, ...this.#peers].map((peer) => peer.stop()));
  }
}

async function startPeer(
  network: string,
  privateKey: PrivateKey,
  reach: Pick<SwarmPeerInit, 'listen' | 'announce'>,
): Promise<SwarmPeer> {
  return SwarmPeer.start({
    network,
    privateKey,
    dhtMode: 'client',
    bootstrap: [],
    ...reach,
    sequences: createMemorySequenceStore(),
  });
}
