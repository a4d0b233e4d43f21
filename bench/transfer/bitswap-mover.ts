import { open } from 'node:fs/promises';
import path from 'node:path';
import { yamux } from '@chainsafe/libp2p-yamux';
import { identify } from '@libp2p/identify';
import { tcp } from '@libp2p/tcp';
import { tls } from '@libp2p/tls';
import { multiaddr } from '@multiformats/multiaddr';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import { create } from 'multiformats/hashes/digest';
import { sha256 } from '../../protocols/digest.ts';
import {
  type BitswapPackage,
  type Blockstore,
  type HeliaWithLibp2p,
  loadBitswap,
} from './bitswap-package.ts';
import type { Mover } from './mover.ts';

/** Bytes of one block: the fastest size that the protocol's messages of 4 MiB allow for, and ours on average. */
const BLOCK_BYTES = 1024 * 1024;

/** Blocks wanted at once: of 1, 2, 4, … 128 the fastest, twice as fast as one after the other. */
const IN_FLIGHT = 16;

const SHA256 = 0x12;

/** Helia's bitswap over TCP, TLS and yamux, each side with a blockstore of files; blocks are verified as they come. */
export const bitswapMover: Mover = {
  async open({ folder }) {
    const bitswap = await loadBitswap();
    const blockstore = new bitswap.FsBlockstore(path.join(folder, 'blocks'));
    await blockstore.open();
    let helia = await startHelia(bitswap, blockstore);
    const [address] = helia.libp2p.getMultiaddrs();
    if (address === undefined) throw new Error('expected libp2p to listen, found no address');
    return {
      address: address.toString(),
      async hold(file) {
        const cids: string[] = [];
        for await (const block of blocksOf(file)) {
          const cid = CID.createV1(raw.code, create(SHA256, sha256(block)));
          await blockstore.put(cid, block);
          cids.push(cid.toString());
        }
        return JSON.stringify(cids);
      },
      async connect(addresses) {
        // As another peer each time: a block that was sent to a peer in the last 5 s is not sent to it again.
        await helia.stop();
        helia = await startHelia(bitswap, blockstore);
        for (const other of addresses) await helia.libp2p.dial(multiaddr(other));
      },
      async fetch(reference) {
        const cids = cidsOf(reference);
        const waiting = cids.values();
        let movedBytes = 0;
        const lane = async (): Promise<void> => {
          for (const cid of waiting) {
            for await (const part of helia.blockstore.get(cid)) movedBytes += part.byteLength;
          }
        };
        await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
        const stored = await Promise.all(cids.map((cid) => blockstore.has(cid)));
        if (stored.every((found) => found)) return movedBytes;
        throw new Error('expected every block on disk after the fetch');
      },
      async forget(reference) {
        for (const cid of cidsOf(reference)) await blockstore.delete(cid);
      },
      close: async () => void (await helia.stop()),
    };
  },
};

async function startHelia(
  { createHeliaLight, withLibp2pLight, withBitswap }: BitswapPackage,
  blockstore: Blockstore,
): Promise<HeliaWithLibp2p> {
  const helia = withBitswap(
    withLibp2pLight(createHeliaLight({ blockstore }), {
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [tls()],
      streamMuxers: [yamux()],
      services: { identify: identify() },
    }),
  );
  await helia.start();
  return helia;
}

function cidsOf(reference: string): CID[] {
  return (JSON.parse(reference) as string[]).map((text) => CID.parse(text));
}

async function* blocksOf(file: string): AsyncGenerator<Uint8Array> {
  await using handle = await open(file, 'r');
  for (;;) {
    const block = new Uint8Array(BLOCK_BYTES);
    const { bytesRead } = await handle.read(block, 0, BLOCK_BYTES);
    if (bytesRead === 0) return;
    yield block.subarray(0, bytesRead);
  }
}
