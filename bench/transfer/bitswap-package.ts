import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

/** 500 packages that a user of this project never needs: beside its own dependencies, and kept from run to run. */
const FOLDER = path.join(
  path.dirname(path.dirname(import.meta.dirname)),
  'node_modules/.cache/bench-bitswap',
);

const PACKAGES = [
  'helia@7.1.15',
  '@helia/bitswap@4.0.19',
  '@helia/libp2p@2.1.4',
  'blockstore-fs@4.0.1',
];

const ENTRY = path.join(FOLDER, 'entry.mjs');

/** A module in that folder, for whose imports Node looks there. */
const ENTRY_TEXT = `export { createHeliaLight } from 'helia';
export { withBitswap } from '@helia/bitswap';
export { withLibp2pLight } from '@helia/libp2p';
export { FsBlockstore } from 'blockstore-fs';
`;

const INSTALL_TIMEOUT_MS = 600_000;

/** Installs Helia where that was not done before. @throws what npm says, where the registry cannot be reached for one. */
export async function installBitswap(signal: AbortSignal): Promise<void> {
  if (existsSync(ENTRY)) return;
  await mkdir(FOLDER, { recursive: true });
  await writeFile(path.join(FOLDER, 'package.json'), '{ "private": true }\n');
  await promisify(execFile)(
    'npm',
    ['install', '--save-exact', '--no-audit', '--no-fund', '--ignore-scripts', ...PACKAGES],
    { cwd: FOLDER, signal, timeout: INSTALL_TIMEOUT_MS, shell: process.platform === 'win32' },
  );
  // Last, so that an installation that broke off is begun again.
  await writeFile(ENTRY, ENTRY_TEXT);
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
  return (await import(pathToFileURL(ENTRY).href)) as BitswapPackage;
}
