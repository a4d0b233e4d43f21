import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { PrivateKey } from '@libp2p/interface';
import { InvalidInputError, NotFoundError, StoreError } from '../../protocols/errors.ts';
import type { PublisherId } from '../../protocols/types.ts';
import { createKeyFile, type LoadKeyOptions, loadKey, peerIdText } from '../swarm/identity.ts';
import { isPetname, parsePetname } from './petname.ts';

/** Petname of the key that is used when none is named; `swarm publish` makes it. */
export const DEFAULT_KEY = 'default';

/** One of the publisher's own keys. */
export interface RingKey {
  readonly petname: string;
  /** Peer id of the key. */
  readonly id: PublisherId;
  readonly file: string;
  readonly key: PrivateKey;
}

/** A publisher's keys by petname: `publisher.key` is the default one, the others stand in `keys/`. */
export class KeyRing {
  readonly #dataDir: string;
  readonly #options: LoadKeyOptions;

  /** `dataDir` is the publisher's data folder; nothing is made before the first key is. */
  constructor(dataDir: string, options: LoadKeyOptions = {}) {
    this.#dataDir = dataDir;
    this.#options = options;
  }

  fileOf(petname: string): string {
    return petname === DEFAULT_KEY
      ? path.join(this.#dataDir, 'publisher.key')
      : path.join(this.#dataDir, 'keys', `${petname}.key`);
  }

  /**
   * All keys, the default one first, then by petname.
   *
   * @throws {ERR_STORE} when a file is damaged or the folder cannot be read.
   */
  async list(): Promise<RingKey[]> {
    const names = [DEFAULT_KEY, ...(await this.#others())];
    const keys = await Promise.all(names.map((name) => this.find(name)));
    return keys.filter((key) => key !== undefined);
  }

  /** The key of a petname; undefined when there is none. @throws {ERR_STORE} when its file is damaged. */
  async find(petname: string): Promise<RingKey | undefined> {
    const file = this.fileOf(parsePetname(petname));
    const key = await loadKey(file, this.#options);
    return key && { petname, id: peerIdText(key) as PublisherId, file, key };
  }

  /** {@link find}, @throws {ERR_NOT_FOUND} when there is none: says how to make it. */
  async get(petname: string): Promise<RingKey> {
    const found = await this.find(petname);
    if (found !== undefined) return found;
    throw new NotFoundError(
      `there is no key '${petname}' (${this.fileOf(petname)}): make it with \`swarm keys create ${petname}\`, or name a file as ./${petname}`,
    );
  }

  /**
   * Adds a key under a petname that is free.
   *
   * @throws {ERR_INVALID_INPUT} when the petname is taken, or the key is there under another one.
   */
  async add(petname: string, key: PrivateKey): Promise<RingKey> {
    const file = this.fileOf(parsePetname(petname));
    const id = peerIdText(key) as PublisherId;
    const known = (await this.list()).find((other) => other.id === id || other.petname === petname);
    if (known === undefined && (await createKeyFile(file, key))) return { petname, id, file, key };
    throw new InvalidInputError(
      known?.id === id
        ? `key ${id} is there already, as '${known.petname}'`
        : `petname '${petname}' is taken by the key in ${file}, which is never replaced`,
    );
  }

  async #others(): Promise<string[]> {
    const folder = path.join(this.#dataDir, 'keys');
    let files: string[];
    try {
      files = await readdir(folder);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw new StoreError(`folder of keys ${folder} cannot be read: ${String(cause)}`, { cause });
    }
    return files
      .filter((file) => file.endsWith('.key'))
      .map((file) => file.slice(0, -'.key'.length))
      .filter((name) => isPetname(name) && name !== DEFAULT_KEY)
      .sort();
  }
}
