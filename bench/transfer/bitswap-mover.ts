import { open } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { yamux } from '@chainsafe/libp2p-yamux';
import { identify } from '@libp2p/identify';
import { tcp } from '@libp2p/tcp';
import { tls } from '@libp2p/tls';
import { multiaddr } from '@multiformats/multiaddr';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import { create } from 'multiformats/hashes/digest';
import { sha256 } from '../../protocols/digest.ts';
import { loadBitswap } from './bitswap-package.ts';
import type { Mover } from './mover.ts';

/** Bytes of one block: the fastest size that the protocol's messages of 4 MiB allow for, and ours on average. */
const BLOCK_BYTES = 1024 * 1024;

/** Blocks wanted at once. Found by trying: eight are slower than one, see README.md. */
const IN_FLIGHT = Number(process.env['BF'] ?? 1);

/** A block is not sent again to the same peer for 5 s, whatever that asks for: the next fetch would wait that long. */
const RESEND_MS = 6_000;

const SHA256 = 0x12;

/** Helia's bitswap over TCP, TLS and yamux, each side with a blockstore of files; blocks are verified as they come. */
export const bitswapMover: Mover = {
  async open({ folder }) {
    const { createHeliaLight, withLibp2pLight, withBitswap, FsBlockstore } = await loadBitswap();
    const blockstore = new FsBlockstore(path.join(folder, 'blocks'));
    await blockstore.open();
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
        await delay(RESEND_MS);
      },
      close: async () => void (await helia.stop()),
    };
  },
};

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
