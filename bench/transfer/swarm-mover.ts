import path from 'node:path';
import { peerIdFromString } from '@libp2p/peer-id';
import { VersionStore } from '../../node/store/version-store.ts';
import { protocolId } from '../../protocols/protocol-id.ts';
import {
  handleTransfer,
  RateLimiter,
  TRANSFER_VERSION,
  TransferConnection,
  WHOLE,
} from '../../protocols/transfer/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { packModel } from '../../src/model/package.ts';
import { fetchVersion } from '../../src/swarm/fetch.ts';
import type { BlockConnection } from '../../src/swarm/fetch-peers.ts';
import type { SwarmLibp2p } from '../../src/swarm/libp2p.ts';
import { addressOf, dial, NETWORK, startLibp2p } from '../swarm-libp2p.ts';
import type { Endpoint, EndpointInit, Mover } from './mover.ts';

const PROTOCOL = protocolId(NETWORK, 'transfer', TRANSFER_VERSION);

const MAX_STREAMS = 64;

/** The node's own store, transfer protocol and fetch on the libp2p stack of every peer of a swarm. */
export const swarmMover: Mover = { open: async (init) => SwarmEndpoint.open(init) };

class SwarmEndpoint implements Endpoint {
  readonly address: string;
  readonly #libp2p: SwarmLibp2p;
  readonly #store: VersionStore;
  readonly #used: Set<VersionCid>;

  private constructor(
    address: string,
    libp2p: SwarmLibp2p,
    { store, used }: { readonly store: VersionStore; readonly used: Set<VersionCid> },
  ) {
    this.address = address;
    this.#libp2p = libp2p;
    this.#store = store;
    this.#used = used;
  }

  static async open({ folder, uploadBytesPerSecond }: EndpointInit): Promise<SwarmEndpoint> {
    const used = new Set<VersionCid>();
    const store = await VersionStore.open(path.join(folder, 'store'), {
      knowledge: {
        inUse: (cid) => used.has(cid),
        released: async () => true,
        current: async () => false,
        otherHolders: async () => 0,
      },
    });
    const libp2p = await startLibp2p({ listens: true });
    const limit =
      uploadBytesPerSecond === undefined ? undefined : new RateLimiter(uploadBytesPerSecond);
    await libp2p.handle(
      PROTOCOL,
      (stream, { remotePeer }) =>
        handleTransfer(stream, store, { peer: remotePeer.toString(), limit }),
      { maxInboundStreams: MAX_STREAMS, maxOutboundStreams: MAX_STREAMS },
    );
    return new SwarmEndpoint(addressOf(libp2p), libp2p, { store, used });
  }

  /** Packs the file and puts the version into the store, as a node that fetched it. */
  async hold(file: string): Promise<string> {
    await using packed = await packModel(file);
    const { cid, source } = packed;
    const connection: BlockConnection = {
      async fetch(digest) {
        const block = await source.read(digest);
        if (block === undefined) throw new Error('packed version lacks a block of its own');
        return block;
      },
      holdings: async () => WHOLE,
      close: async () => {},
    };
    const connect = async (): Promise<BlockConnection> => connection;
    await fetchVersion({ cid, store: this.#store, peers: ['packer'], connect });
    return cid;
  }

  async connect(addresses: readonly string[]): Promise<void> {
    for (const address of addresses) await dial(this.#libp2p, address);
  }

  async fetch(reference: string, addresses: readonly string[]): Promise<number> {
    let movedBytes = 0;
    const connect = async (peer: string, signal: AbortSignal): Promise<BlockConnection> => {
      const stream = await this.#libp2p.dialProtocol(peerIdFromString(peer), PROTOCOL, { signal });
      const connection = new TransferConnection(stream, { peer });
      return {
        async fetch(...ask) {
          const block = await connection.fetch(...ask);
          movedBytes += block.byteLength;
          return block;
        },
        holdings: async (...ask) => connection.holdings(...ask),
        close: async () => connection.close(),
      };
    };
    const cid = reference as VersionCid;
    const { dropped } = await fetchVersion({
      cid,
      store: this.#store,
      peers: addresses.map((address) => address.slice(address.lastIndexOf('/') + 1)),
      connect,
    });
    for (const [peer, error] of dropped) {
      throw new Error(`peer ${peer} was dropped on the way`, { cause: error });
    }
    return movedBytes;
  }

  /** As when a node loads one version, and the others were not used for a while. */
  async use(reference: string): Promise<void> {
    const cid = reference as VersionCid;
    this.#used.clear();
    this.#used.add(cid);
    if ((await this.#store.get(cid)) === undefined) throw new Error(`expected ${cid} on this disk`);
    for await (const _ of this.#store.packing.pack({ idleMs: 0 })) {
      // What it did is seen on the disk.
    }
  }

  async forget(reference: string): Promise<void> {
    await this.#store.remove(reference as VersionCid);
  }

  async close(): Promise<void> {
    await this.#libp2p.stop();
    await this.#store.close();
  }
}
