import type { Level } from 'level';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import { onIndex, SYNC } from './index-level.ts';

/** A version that the node means to serve, also after a restart. */
export interface WantedVersion {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly cid: VersionCid;
  /** The newest signed release record of the model that this node knew; null while none was seen. */
  readonly release: Uint8Array | null;
  /** True for one that is kept on the disk alone, until the swarm or a caller wants it in memory. @default false */
  readonly cold?: boolean | undefined;
}

/** JSON has no bytes. */
type Entry = Omit<WantedVersion, 'release'> & { readonly release: string | null };

/** What is to be loaded again after a restart; every change is synced before it is acknowledged. */
export class WantedVersions {
  readonly #level: Level;
  readonly #table;

  constructor(level: Level) {
    this.#level = level;
    this.#table = level.sublevel<string, Entry>('wanted', { valueEncoding: 'json' });
  }

  put({ publisher, name, cid, release, cold = false }: WantedVersion): Promise<void> {
    const text = release === null ? null : Buffer.from(release).toString('base64');
    const entry: Entry = { publisher, name, cid, release: text, ...(cold ? { cold } : {}) };
    return onIndex(() =>
      this.#level.batch().put(cid, entry, { sublevel: this.#table }).write(SYNC),
    );
  }

  delete(cid: VersionCid): Promise<void> {
    return onIndex(() => this.#level.batch().del(cid, { sublevel: this.#table }).write(SYNC));
  }

  async all(): Promise<WantedVersion[]> {
    const entries = await onIndex(() => this.#table.values().all());
    return entries.map(({ release, ...entry }) => ({
      ...entry,
      release: release === null ? null : new Uint8Array(Buffer.from(release, 'base64')),
    }));
  }
}
