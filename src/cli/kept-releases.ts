import path from 'node:path';
import { StoreError } from '../../protocols/errors.ts';
import { MAX_RELEASE_BYTES } from '../../protocols/limits.ts';
import { decodeRelease, type ReleaseRecord } from '../../protocols/release/index.ts';
import type { ReleaseTurn } from '../client/release-move.ts';
import { ensureFolder } from '../model/ensured-folder.ts';
import { writeDurably } from '../swarm/durable-file.ts';
import { readBoundedFile } from './bounded-file.ts';
import { type TurnOptions, takeTurn } from './turn-lock.ts';

/** The model that a kept record is of; a record of another network is another record. */
export interface KeptReleaseKey {
  readonly network: string;
  readonly publisher: string;
  readonly name: string;
}

/**
 * A publisher's own copies of its last release records, so that a sequence is not given twice when the DHT has forgotten
 * the record or does not answer.
 */
export class KeptReleases {
  readonly #folder: string;

  /** `dataDir` is the publisher's data folder; nothing is made before the first record is kept. */
  constructor(dataDir: string) {
    this.#folder = path.join(dataDir, 'releases');
  }

  /** Where the record of a model is kept. */
  fileOf({ network, publisher, name }: KeptReleaseKey): string {
    return path.join(this.#folder, network, publisher, `${name}.release`);
  }

  /**
   * Waits for this process's turn to sign releases of a model, and reads what was signed last.
   *
   * @throws {ERR_STORE} when another process does not give its turn back in time, or as {@link read} does.
   */
  async openTurn(key: KeptReleaseKey, options: TurnOptions): Promise<ReleaseTurn> {
    const turn = await takeTurn(`${this.fileOf(key)}.turn`, options);
    try {
      return {
        previous: await this.read(key, options.signal),
        keep: (record) => this.write(key, record),
        [Symbol.asyncDispose]: () => turn[Symbol.asyncDispose](),
      };
    } catch (error) {
      await turn[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * The last record of a model; undefined when none was kept, or when it has expired and nobody believes it any more.
   *
   * @throws {ERR_STORE} when the file is unreadable or not that record: publishing past it could give a sequence twice.
   */
  async read(key: KeptReleaseKey, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const file = this.fileOf(key);
    const what = `kept release record ${file}`;
    let bytes: Uint8Array;
    let record: ReleaseRecord;
    try {
      bytes = await readBoundedFile(file, { what, maxBytes: MAX_RELEASE_BYTES, signal });
      record = await decodeRelease(bytes, { nowMs: null });
    } catch (cause) {
      signal.throwIfAborted();
      if ((cause as { code?: unknown }).code === 'ERR_NOT_FOUND') return undefined;
      throw new StoreError(
        `${what} is damaged: ${(cause as Error).message}. Restore it from a backup; without it, remove the file and the swarm's record counts`,
        { cause },
      );
    }
    if (record.publisher !== key.publisher || record.name !== key.name) {
      throw new StoreError(
        `${what} is of ${record.publisher}/${record.name}, expected ${key.publisher}/${key.name}`,
      );
    }
    return record.expiresAtMs <= Date.now() ? undefined : bytes;
  }

  /**
   * Keeps a record over power loss.
   *
   * @throws {ERR_STORE} when it cannot be written.
   */
  async write(key: KeptReleaseKey, record: Uint8Array): Promise<void> {
    const file = this.fileOf(key);
    await ensureFolder(path.dirname(file), 0o700);
    try {
      await writeDurably(file, record);
    } catch (cause) {
      throw new StoreError(`release record ${file} cannot be written: ${String(cause)}`, { cause });
    }
  }
}
