import { PeerPackages } from '../peer-packages.ts';

/** 500 packages that a user of this project never needs. */
const HELIA = new PeerPackages({
  name: 'bench-bitswap',
  packages: ['helia@7.1.15', '@helia/bitswap@4.0.19', '@helia/libp2p@2.1.4', 'blockstore-fs@4.0.1'],
  entry: `export { createHeliaLight } from 'helia';
export { withBitswap } from '@helia/bitswap';
export { withLibp2pLight } from '@helia/libp2p';
export { FsBlockstore } from 'blockstore-fs';
`,
});

/** Installs Helia where that was not done before. @throws what npm says, where the registry cannot be reached for one. */
export async function installBitswap(signal: AbortSignal): Promise<void> {
  await HELIA.install(signal);
}

/** What is used of Helia; its own types are not there when this project is checked. */
export interface BitswapPackage {
  readonly createHeliaLight: (init: { readonly blockstore: Blockstore }) => Helia;
  readonly withLibp2pLight: (helia: Helia, libp2p: object) => HeliaWithLibp2p;
  readonly withBitswap: (helia: HeliaWithLibp2p) => HeliaWithLibp2p;
  readonly FsBlockstore: new (folder: string) => Blockstore & { open(): Promise<void> };
}

export interface Blockstore {
  put(cid: object, bytes: Uint8Array): Promise<unknown>;
  get(cid: object): AsyncIterable<Uint8Array>;
  has(cid: object): Promise<boolean>;
  delete(cid: object): Promise<void>;
}

interface Helia {
  readonly blockstore: Blockstore;
  start(): Promise<unknown>;
  stop(): Promise<unknown>;
}

export interface HeliaWithLibp2p extends Helia {
  readonly libp2p: {
    dial(address: object): Promise<{ readonly encryption?: string }>;
    getMultiaddrs(): readonly { toString(): string }[];
  };
}

export async function loadBitswap(): Promise<BitswapPackage> {
  return (await HELIA.load()) as BitswapPackage;
}
