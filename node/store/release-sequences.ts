import type { Level } from 'level';
import { digestText } from '../../protocols/digest.ts';
import type { SeenRelease, SequenceStore } from '../../protocols/release/index.ts';
import { onIndex, SYNC } from './index-level.ts';

/** Models that are remembered over a restart: anyone can make keys and release models with them. */
export const MAX_SEQUENCES = 100_000;

/** JSON has no bytes. */
type Entry = Omit<SeenRelease, 'hash'> & { readonly hash: string };

/** The highest release sequence seen per model, on disk; every change is synced before it is acknowledged. */
export class ReleaseSequences implements SequenceStore {
  readonly #level: Level;
  readonly #table;

  constructor(level: Level) {
    this.#level = level;
    this.#table = level.sublevel<string, Entry>('sequences', { valueEncoding: 'json' });
  }

  async get(key: string): Promise<SeenRelease | undefined> {
    const entry: Entry | undefined = await onIndex(() => this.#table.get(key));
    if (entry === undefined) return undefined;
    return { ...entry, hash: new Uint8Array(Buffer.from(entry.hash, 'hex')) };
  }

  put(key: string, { sequence, hash, expiresAtMs }: SeenRelease): Promise<void> {
    const entry: Entry = { sequence, hash: digestText(hash), expiresAtMs };
    return onIndex(() =>
      this.#level.batch().put(key, entry, { sublevel: this.#table }).write(SYNC),
    );
  }

  /** Forgets the models beyond `max`, those first whose records expire first. */
  async trim(max: number = MAX_SEQUENCES): Promise<void> {
    const entries = await onIndex(() => this.#table.iterator().all());
    const excess = entries
      .toSorted(([, a], [, b]) => b.expiresAtMs - a.expiresAtMs)
      .slice(max)
      .map(([key]) => ({ type: 'del', key }) as const);
    if (excess.length > 0) await onIndex(() => this.#table.batch(excess));
  }
}
