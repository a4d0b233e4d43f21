import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import {
  capacityBucket,
  signAnnouncement,
  signOwnerCertificate,
} from '../../protocols/capacity/index.ts';
import type { NodeId, OwnerId, PublisherId, VersionCid } from '../../protocols/types.ts';
import type { SwarmPeer } from '../../src/swarm/peer.ts';
import { IDLE } from './announced-peer.ts';

/** Milliseconds from one node to the next: several are believed at any time, if each is for as long as it takes to miss it. */
const EVERY_MS = 300;

const LEASE_MS = 60_000;

export interface MadeUpVersion {
  readonly cid: VersionCid;
  readonly publisher: PublisherId;
  readonly name: string;
}

/**
 * A peer that announces ever new nodes that hold a version, well signed, where somebody listens and never says a word. It ends with the scope
 * that holds it.
 */
export class MadeUpNodes implements AsyncDisposable {
  /** Who was announced. */
  readonly nodes: NodeId[] = [];
  readonly #peer: SwarmPeer;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #ending = new AbortController();
  readonly #announcing: Promise<void>;

  static async start(peer: SwarmPeer, version: MadeUpVersion): Promise<MadeUpNodes> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new MadeUpNodes(peer, version, server);
  }

  private constructor(peer: SwarmPeer, version: MadeUpVersion, server: Server) {
    this.#peer = peer;
    this.#server = server;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {
        // Whoever dialled has given up.
      });
    });
    peer.gossip.join(capacityBucket(version.cid));
    this.#announcing = this.#announce(version);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#announcing;
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  async #announce(version: MadeUpVersion): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      const { node, bytes } = await this.#madeUp(version);
      await this.#peer.gossip.publish(capacityBucket(version.cid), bytes);
      this.nodes.push(node);
      await delay(EVERY_MS, undefined, { signal }).catch(() => {
        // It ends.
      });
    }
  }

  async #madeUp(version: MadeUpVersion): Promise<{ node: NodeId; bytes: Uint8Array }> {
    const key = await generateKeyPair('Ed25519');
    const node = peerIdFromPrivateKey(key).toString() as NodeId;
    const { port } = this.#server.address() as AddressInfo;
    const bytes = await signAnnouncement(
      {
        ...{ node, sequence: Date.now(), leaseMs: LEASE_MS, zone: '', agent: 'test' },
        ...{ addresses: [`/ip4/127.0.0.1/tcp/${port}`], state: 'serving' },
        owner: node as string as OwnerId,
        ownerCertificate: await signOwnerCertificate(node, key),
        ...{ devices: [], memoryTotalBytes: 0, memoryFreeBytes: 0 },
        versions: [{ ...version, state: 'ready', load: IDLE }],
      },
      key,
    );
    return { node, bytes };
  }
}
