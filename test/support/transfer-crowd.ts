import { yamux } from '@chainsafe/libp2p-yamux';
import type { Libp2p } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { tls } from '@libp2p/tls';
import { createLibp2p } from 'libp2p';
import { VersionStore } from '../../node/store/version-store.ts';
import {
  type BlockSource,
  handleTransfer,
  type RateLimiter,
  TransferConnection,
  UploadSlots,
} from '../../protocols/transfer/index.ts';
import { type FetchVersionOptions, fetchVersion } from '../../src/swarm/fetch.ts';
import { createTestFolder } from './test-folder.ts';
import type { VersionFixture } from './version-fixture.ts';

const PROTOCOL = '/gpu-swarm/test/crowd/1.0.0';

/** A peer that serves what its source has; real sockets, with TLS and yamux as in a swarm. */
export class CrowdPeer implements AsyncDisposable {
  readonly libp2p: Libp2p;
  readonly name: string;
  /** Bytes of the blocks it read to be sent. */
  servedBytes = 0;
  readonly #releases: (() => Promise<void>)[] = [];

  private constructor(libp2p: Libp2p, name: string) {
    this.libp2p = libp2p;
    this.name = name;
  }

  static async start(name: string, source: BlockSource, limit?: RateLimiter): Promise<CrowdPeer> {
    const libp2p = await createLibp2p({
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [tls()],
      streamMuxers: [yamux()],
      connectionGater: { denyDialMultiaddr: () => false },
    });
    const peer = new CrowdPeer(libp2p, name);
    const slots = new UploadSlots(32, 4);
    const counted: BlockSource = {
      read: async (digest, options) => {
        const block = await source.read(digest, options);
        peer.servedBytes += block?.byteLength ?? 0;
        return block;
      },
      ...(source.holdings && { holdings: source.holdings.bind(source) }),
    };
    await libp2p.handle(PROTOCOL, (stream, connection) =>
      handleTransfer(stream, counted, { peer: String(connection.remotePeer), slots, limit }),
    );
    return peer;
  }

  /** What is to end with the peer. */
  owns(release: () => Promise<void>): void {
    this.#releases.push(release);
  }

  async connect(to: CrowdPeer, signal: AbortSignal): Promise<TransferConnection> {
    const stream = await this.libp2p.dialProtocol(to.libp2p.getMultiaddrs(), PROTOCOL, { signal });
    return new TransferConnection(stream, { peer: to.name });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.libp2p.stop();
    for (const release of this.#releases.toReversed()) await release();
  }
}

/** A peer with an empty store of its own, which wants a version. */
export interface CrowdMember extends AsyncDisposable {
  readonly peer: CrowdPeer;
  readonly store: VersionStore;
  fetch(
    version: VersionFixture,
    from: readonly CrowdPeer[],
    options?: Partial<FetchVersionOptions>,
  ): ReturnType<typeof fetchVersion>;
}

export async function joinCrowd(name: string): Promise<CrowdMember> {
  const folder = await createTestFolder();
  const store = await VersionStore.open(folder.path);
  const peer = await CrowdPeer.start(name, store);
  peer.owns(async () => folder[Symbol.asyncDispose]());
  peer.owns(() => store.close());
  return {
    peer,
    store,
    fetch: (version, from, options = {}) => {
      const others = new Map(from.filter((one) => one !== peer).map((one) => [one.name, one]));
      return fetchVersion({
        cid: version.cid,
        store,
        peers: others.keys(),
        connect: async (id, signal) => {
          const to = others.get(id);
          if (to === undefined) throw new Error(`no peer ${id} in this crowd`);
          return peer.connect(to, signal);
        },
        ...options,
      });
    },
    async [Symbol.asyncDispose]() {
      await peer[Symbol.asyncDispose]();
    },
  };
}
