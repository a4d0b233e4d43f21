import * as dagCbor from '@ipld/dag-cbor';
import type { Datastore } from 'interface-datastore';
import type { Logger } from 'pino';
import { z } from 'zod';
import { StoreError } from '../../protocols/errors.ts';
import type { SeenRelease, SequenceStore } from '../../protocols/release/index.ts';
import { RecordDatastore } from './record-datastore.ts';

/** Beside libp2p's own keys (`/dht`, `/peers`), which it never lists. */
const SEQUENCE_PREFIX = '/swarm/sequence/';

/** Models remembered over a restart: anyone can make keys and release models with them. */
const MAX_SEQUENCES = 100_000;

const seenSchema = z.object({
  sequence: z.int().min(1),
  hash: z.instanceof(Uint8Array),
  expiresAtMs: z.int(),
});

/** What a peer that keeps records has on disk: libp2p's datastore and, in the same database, the sequences it saw. */
export class RecordStore {
  readonly #datastore: RecordDatastore;
  /** The highest sequence seen per model; each is on the disk before it counts. */
  readonly sequences: SequenceStore;

  /**
   * Opens the database in a folder, or makes it.
   *
   * @param logger hears when the disk takes libp2p's records no more
   * @throws {ERR_STORE} when another process has it open, or it is damaged.
   */
  static async open(folder: string, logger?: Pick<Logger, 'warn'>): Promise<RecordStore> {
    const datastore = new RecordDatastore(folder, (error) => {
      logger?.warn({ err: error }, 'disk takes no records: they are in memory alone until it does');
    });
    try {
      // The database first: the datastore keeps nothing of why it did not open.
      await datastore.db.open();
      await datastore.open();
    } catch (cause) {
      throw openFailure(folder, cause);
    }
    const store = new RecordStore(datastore);
    await store.#trim(Date.now(), MAX_SEQUENCES);
    return store;
  }

  private constructor(datastore: RecordDatastore) {
    this.#datastore = datastore;
    const { db } = datastore;
    this.sequences = {
      async get(model) {
        const bytes = await db.get(SEQUENCE_PREFIX + model);
        return bytes === undefined ? undefined : decodeSeen(bytes);
      },
      async put(model, seen) {
        // Were it lost with the power, an older release could come back as the newest.
        await db
          .put(SEQUENCE_PREFIX + model, dagCbor.encode(seen), { sync: true })
          .catch((cause) => {
            const message = cause instanceof Error ? cause.message : String(cause);
            throw new StoreError(`release of ${model} cannot be written down: ${message}`, {
              cause,
            });
          });
      },
    };
  }

  /** For libp2p: DHT records and the peer store. */
  get datastore(): Datastore {
    return this.#datastore;
  }

  async close(): Promise<void> {
    await this.#datastore.close();
  }

  /**
   * Forgets what need not be remembered: records that nobody believes any more cannot come back. Beyond `max` the models go
   * first whose records expire first.
   */
  async #trim(nowMs: number, max: number): Promise<void> {
    const { db } = this.#datastore;
    const range = { gte: SEQUENCE_PREFIX, lt: `${SEQUENCE_PREFIX}\uffff` };
    const live: { readonly key: string; readonly expiresAtMs: number }[] = [];
    const dead: string[] = [];
    for await (const [key, bytes] of db.iterator(range)) {
      const { expiresAtMs = 0 } = decodeSeen(bytes) ?? {};
      if (expiresAtMs <= nowMs) dead.push(key);
      else live.push({ key, expiresAtMs });
    }
    const excess = live.toSorted((a, b) => b.expiresAtMs - a.expiresAtMs).slice(max);
    dead.push(...excess.map(({ key }) => key));
    if (dead.length > 0) await db.batch(dead.map((key) => ({ type: 'del', key }) as const));
  }
}

function openFailure(folder: string, error: unknown): StoreError {
  // LevelDB's own word is the cause of one that only says that it is not open.
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const isLocked = cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_LOCKED';
  const message = isLocked
    ? 'are in use by another process: stop it, or give this one another data folder'
    : `cannot be opened: ${cause instanceof Error ? cause.message : String(cause)}`;
  return new StoreError(`records in ${folder} ${message}`, { cause });
}

function decodeSeen(bytes: Uint8Array): SeenRelease | undefined {
  try {
    return seenSchema.parse(dagCbor.decode(bytes));
  } catch {
    // Damaged on disk: as if the model had never been seen.
    return undefined;
  }
}
