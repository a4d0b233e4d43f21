import type { AbortOptions } from '@libp2p/interface';
import { LevelDatastore } from 'datastore-level';
import { type Batch, Key, type Pair } from 'interface-datastore';
import { BoundedMap } from '../../protocols/bounded-map.ts';

/** Entries that are kept for the disk at most; one of a peer or of the DHT is some hundred bytes. */
const MAX_UNWRITTEN = 10_000;

/**
 * libp2p's datastore on the disk. What a full or failing disk does not take stays in memory until it does: libp2p writes down who opens
 * a stream before the stream is handed on, so that a node with a full disk would answer nobody who is new.
 */
export class RecordDatastore extends LevelDatastore {
  /** By key, undefined for what is deleted; they stand before what the disk has. */
  readonly #unwritten = new BoundedMap<string, Uint8Array | undefined>(MAX_UNWRITTEN);
  readonly #onUnwritten: (error: unknown) => void;

  /** @param onUnwritten called when the disk takes something no more, once until it has taken all */
  constructor(folder: string, onUnwritten: (error: unknown) => void) {
    super(folder);
    this.#onUnwritten = onUnwritten;
  }

  override async put(key: Key, value: Uint8Array, options?: AbortOptions): Promise<Key> {
    await this.#write(key, value, options, async () => super.put(key, value, options));
    return key;
  }

  override async delete(key: Key, options?: AbortOptions): Promise<void> {
    await this.#write(key, undefined, options, async () => super.delete(key, options));
  }

  override async get(key: Key, options?: AbortOptions): Promise<Uint8Array> {
    const name = key.toString();
    const value = this.#unwritten.get(name);
    if (value !== undefined) return value;
    if (!this.#unwritten.has(name)) return super.get(key, options);
    throw Object.assign(new Error(`${name} was deleted`), { name: 'NotFoundError' });
  }

  override async has(key: Key, options?: AbortOptions): Promise<boolean> {
    const name = key.toString();
    return this.#unwritten.has(name)
      ? this.#unwritten.get(name) !== undefined
      : super.has(key, options);
  }

  /** One after the other: what the disk does not take is kept like any other. */
  override batch(): Batch {
    const steps: ((options?: AbortOptions) => Promise<unknown>)[] = [];
    return {
      put: (key, value) => void steps.push(async (options) => this.put(key, value, options)),
      delete: (key) => void steps.push(async (options) => this.delete(key, options)),
      commit: async (options) => {
        for (const step of steps.splice(0)) await step(options);
      },
    };
  }

  override async *_query(query: { values: boolean; prefix?: string }): AsyncGenerator<Pair> {
    const { prefix = '' } = query;
    const unwritten = [...this.#unwritten];
    const names = new Set(unwritten.map(([name]) => name));
    for await (const pair of super._query(query)) {
      if (!names.has(pair.key.toString())) yield pair;
    }
    for (const [name, value] of unwritten) {
      if (value !== undefined && name.startsWith(prefix)) yield { key: new Key(name), value };
    }
  }

  async #write(
    key: Key,
    value: Uint8Array | undefined,
    options: AbortOptions | undefined,
    write: () => Promise<unknown>,
  ): Promise<void> {
    const name = key.toString();
    // Before it is written: what waited must not be written after it.
    if (this.#unwritten.has(name)) this.#unwritten.set(name, value);
    try {
      await write();
    } catch (error) {
      // Given up by who asked, or closed: not the disk's doing.
      if (options?.signal?.aborted === true || this.db.status !== 'open') throw error;
      if (this.#unwritten.size === 0) this.#onUnwritten(error);
      this.#unwritten.set(name, value);
      return;
    }
    if (this.#unwritten.get(name) === value) this.#unwritten.delete(name);
    if (this.#unwritten.size > 0) await this.#writeRest();
  }

  /** The disk takes something again: all that waited for it, or nothing. */
  async #writeRest(): Promise<void> {
    const waiting = [...this.#unwritten];
    try {
      await this.db.batch(
        waiting.map(([key, value]) =>
          value === undefined ? { type: 'del', key } : { type: 'put', key, value },
        ),
      );
    } catch {
      // Not yet: they stay where they are.
      return;
    }
    for (const [name, value] of waiting) {
      if (this.#unwritten.get(name) === value) this.#unwritten.delete(name);
    }
  }
}
