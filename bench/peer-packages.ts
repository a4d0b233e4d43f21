import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

/** Beside the project's own dependencies, and kept from run to run. */
const CACHE = path.join(path.dirname(import.meta.dirname), 'node_modules/.cache');

const INSTALL_TIMEOUT_MS = 600_000;

export interface PeerPackagesInit {
  /** Of the folder. */
  readonly name: string;
  /** Each with its version, `name@1.2.3`. */
  readonly packages: readonly string[];
  /** Module text that exports what is used of them. */
  readonly entry: string;
}

/** Packages of npm that a benchmark compares with, and a user of this project never needs. */
export class PeerPackages {
  /** Where they are installed. */
  readonly folder: string;
  readonly #init: PeerPackagesInit;

  constructor(init: PeerPackagesInit) {
    this.folder = path.join(CACHE, init.name);
    this.#init = init;
  }

  /** Installs them where that was not done before. @throws what npm says, where the registry cannot be reached for one. */
  async install(signal: AbortSignal): Promise<void> {
    if (existsSync(this.#entry)) return;
    await mkdir(this.folder, { recursive: true });
    await writeFile(path.join(this.folder, 'package.json'), '{ "private": true }\n');
    await promisify(execFile)(
      'npm',
      [
        ...['install', '--save-exact', '--no-audit', '--no-fund', '--ignore-scripts'],
        ...this.#init.packages,
      ],
      {
        ...{ cwd: this.folder, signal, timeout: INSTALL_TIMEOUT_MS },
        shell: process.platform === 'win32',
      },
    );
    // Last, so that an installation that broke off is begun again.
    await writeFile(this.#entry, this.#init.entry);
  }

  /** What the entry exports; their own types are not there when this project is checked. */
  async load(): Promise<unknown> {
    return import(pathToFileURL(this.#entry).href);
  }

  /** A module in that folder, for whose imports Node looks there. */
  get #entry(): string {
    return path.join(this.folder, 'entry.mjs');
  }
}
