import type { Level } from 'level';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import { onIndex, SYNC } from './index-level.ts';

/** A version that the node means to serve, also after a restart. */
export interface WantedVersion {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly cid: VersionCid;
  /** Sequence of the release record that it was asked for with. */
  readonly sequence: number;
  /** The signed release record. */
  readonly release: Uint8Array;
}

/** JSON has no bytes. */
type Entry = Omit<WantedVersion, 'release'> & { readonly release: string };

/** What is to be loaded again after a restart; every change is synced before it is acknowledged. */
export class WantedVersions {
  readonly #level: Level;
  readonly #table;

  constructor(level: Level) {
    this.#level = level;
    this.#table = level.sublevel<string, Entry>('wanted', { valueEncoding: 'json' });
  }

  put(wanted: WantedVersion): Promise<void> {
    const { publisher, name, cid, sequence } = wanted;
    const release = Buffer.from(wanted.release).toString('base64');
    const entry: Entry = { publisher, name, cid, sequence, release };
    return onIndex(() =>
      this.#level.batch().put(cid, entry, { sublevel: this.#table }).write(SYNC),
    );
  }

  delete(cid: VersionCid): Promise<void> {
    return onIndex(() => this.#level.batch().del(cid, { sublevel: this.#table }).write(SYNC));
  }

  async all(): Promise<WantedVersion[]> {
    const entries = await onIndex(() => this.#table.values().all());
    return entries.map((entry) => ({
      ...entry,
      release: new Uint8Array(Buffer.from(entry.release, 'base64')),
    }));
  }
}
