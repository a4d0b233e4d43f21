import type { Level } from 'level';
import { LimitError } from '../../protocols/errors.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import { onIndex, SYNC } from './index-level.ts';

/** Names of one version, each of whoever published the same bytes under it. */
const MAX_NAMES = 64;

/** A version that the node means to serve, also after a restart. */
export interface WantedVersion {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly cid: VersionCid;
  /** The newest signed release record of the model that this node knew; null while none was seen, and given to leave what is kept. */
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
  /** Settles with the last change: each sees what those before it left. Never rejects. */
  #last: Promise<void> = Promise.resolve();

  constructor(level: Level) {
    this.#level = level;
    this.#table = level.sublevel<string, Entry>('wanted', { valueEncoding: 'json' });
  }

  /**
   * Keeps what is wanted of a version under one name; what other names it has stays, and its record where none is given.
   *
   * @throws {ERR_LIMIT} when it has {@link MAX_NAMES} others.
   */
  put({ publisher, name, cid, release, cold = false }: WantedVersion): Promise<void> {
    return this.#inTurn(async () => {
      const known = await onIndex(() => this.#table.iterator(rangeOf(cid)).all());
      const same = known.find(([, one]) => one.publisher === publisher && one.name === name);
      if (same === undefined && known.length >= MAX_NAMES) {
        throw new LimitError(`version ${cid} has ${MAX_NAMES} names, expected fewer`);
      }
      const text = release === null ? (same?.[1].release ?? null) : textOf(release);
      const entry: Entry = { publisher, name, cid, release: text, ...(cold ? { cold } : {}) };
      // The first is kept under the version alone, as all were before versions had several.
      const key = same?.[0] ?? (known.length === 0 ? cid : `${cid} ${publisher}/${name}`);
      const batch = this.#level.batch().put(key, entry, { sublevel: this.#table });
      await onIndex(() => batch.write(SYNC));
    });
  }

  /** Keeps the newest release record of a model with each version that is wanted under its name. */
  renew(publisher: PublisherId, name: string, release: Uint8Array): Promise<void> {
    return this.#inTurn(() =>
      onIndex(async () => {
        const batch = this.#level.batch();
        for (const [key, entry] of await this.#table.iterator().all()) {
          if (entry.publisher !== publisher || entry.name !== name) continue;
          batch.put(key, { ...entry, release: textOf(release) }, { sublevel: this.#table });
        }
        await batch.write(SYNC);
      }),
    );
  }

  /** Forgets a version under all its names. */
  delete(cid: VersionCid): Promise<void> {
    return this.#inTurn(() =>
      onIndex(async () => {
        const batch = this.#level.batch();
        for (const key of await this.#table.keys(rangeOf(cid)).all()) {
          batch.del(key, { sublevel: this.#table });
        }
        await batch.write(SYNC);
      }),
    );
  }

  /** An entry for each name of each version; the first name of a version comes first. */
  async all(): Promise<WantedVersion[]> {
    const entries = await onIndex(() => this.#table.values().all());
    return entries.map(({ release, ...entry }) => ({
      ...entry,
      release: release === null ? null : new Uint8Array(Buffer.from(release, 'base64')),
    }));
  }

  /** Makes one change after the other: one that is under way must not undo the next. */
  async #inTurn(change: () => Promise<void>): Promise<void> {
    const changed = this.#last.then(change);
    this.#last = changed.catch(() => undefined);
    await changed;
  }
}

function textOf(release: Uint8Array): string {
  return Buffer.from(release).toString('base64');
}

/** The keys of one version: its CID, and its CID with a blank and a further name. */
function rangeOf(cid: VersionCid): { readonly gte: string; readonly lt: string } {
  return { gte: cid, lt: `${cid}!` };
}
