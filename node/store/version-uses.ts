import type { Level } from 'level';
import type { VersionCid } from '../../protocols/types.ts';
import { onIndex, SYNC } from './index-level.ts';

/** Milliseconds that uses are gathered before they are written: what a crash loses is a minute of counting. */
const FLUSH_DELAY_MS = 60_000;

export interface VersionUse {
  /** Milliseconds since 1970; 0 when never. */
  readonly lastUsedMs: number;
  /** Loads and requests. */
  readonly uses: number;
}

const NEVER: VersionUse = { lastUsedMs: 0, uses: 0 };

/** When and how often each version was used, and which ones their owner pinned; beside the index, in the same database. */
export class VersionUses {
  readonly #level: Level;
  readonly #uses;
  readonly #pins;
  /** Since the last flush. */
  readonly #fresh = new Map<VersionCid, VersionUse>();
  #timer: NodeJS.Timeout | undefined;

  constructor(level: Level) {
    this.#level = level;
    this.#uses = level.sublevel<string, VersionUse>('uses', { valueEncoding: 'json' });
    this.#pins = level.sublevel<string, { readonly pinnedMs: number }>('pins', {
      valueEncoding: 'json',
    });
  }

  /** Counts a use; written by and by. */
  note(cid: VersionCid, nowMs: number): void {
    const uses = (this.#fresh.get(cid)?.uses ?? 0) + 1;
    this.#fresh.set(cid, { lastUsedMs: nowMs, uses });
    this.#timer ??= setTimeout(() => {
      this.flush().catch(() => {
        // A count is worth no more than a try.
      });
    }, FLUSH_DELAY_MS).unref();
  }

  async of(cid: VersionCid): Promise<VersionUse> {
    const stored: VersionUse = (await onIndex(() => this.#uses.get(cid))) ?? NEVER;
    const fresh = this.#fresh.get(cid) ?? NEVER;
    return {
      lastUsedMs: Math.max(stored.lastUsedMs, fresh.lastUsedMs),
      uses: stored.uses + fresh.uses,
    };
  }

  /** Writes what was counted. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#level.batch();
    for (const cid of this.#fresh.keys()) {
      batch.put(cid, await this.of(cid), { sublevel: this.#uses });
    }
    this.#fresh.clear();
    await onIndex(() => batch.write());
  }

  /** A version left the disk. */
  async forget(cid: VersionCid): Promise<void> {
    this.#fresh.delete(cid);
    await onIndex(() => this.#level.batch().del(cid, { sublevel: this.#uses }).write());
  }

  /** Keeps a version on the disk whatever comes; synced before it is acknowledged. */
  pin(cid: VersionCid, nowMs: number): Promise<void> {
    const entry = { pinnedMs: nowMs };
    return onIndex(() => this.#level.batch().put(cid, entry, { sublevel: this.#pins }).write(SYNC));
  }

  unpin(cid: VersionCid): Promise<void> {
    return onIndex(() => this.#level.batch().del(cid, { sublevel: this.#pins }).write(SYNC));
  }

  async pinned(): Promise<ReadonlySet<string>> {
    return new Set(await onIndex(() => this.#pins.keys().all()));
  }

  async close(): Promise<void> {
    await this.flush();
  }
}
