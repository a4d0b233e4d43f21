import { BusyError } from '../../../protocols/errors.ts';
import type { VersionCid } from '../../../protocols/types.ts';
import { SharedWork } from '../../swarm/shared-work.ts';
import { TokenizerThread } from './tokenizer-thread.ts';

/** Tokenizers in memory at once; the one asked longest ago goes first. */
const MAX_TOKENIZERS = 8;

/** Milliseconds after which whoever found all of them in use may ask again. */
const RETRY_AFTER_MS = 1_000;

/** Milliseconds that bringing a tokenizer's file from a node may take. */
const FETCH_TIMEOUT_MS = 20_000;

/** The tokenizers of the versions that were asked for last. */
export class Tokenizers implements AsyncDisposable {
  readonly #opening = new SharedWork<TokenizerThread>(FETCH_TIMEOUT_MS);
  /** The one asked last is last. */
  readonly #threads = new Map<VersionCid, TokenizerThread>();

  /**
   * The tokenizer of a version.
   *
   * @param read brings its file, where it is not in memory
   * @throws what `read` throws. {ERR_BUSY} when all that are in memory are in use.
   */
  async of(
    cid: VersionCid,
    read: (signal: AbortSignal) => Promise<Uint8Array>,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<TokenizerThread> {
    const open = this.#threads.get(cid);
    if (open?.alive === true) {
      this.#threads.delete(cid);
      this.#threads.set(cid, open);
      return open;
    }
    const work = async (within: AbortSignal): Promise<TokenizerThread> => {
      const file = await read(within);
      // Nothing is awaited before the place is taken: another that opens now would find it free too.
      const evicted = this.#takePlace(cid);
      const thread = new TokenizerThread(file);
      this.#threads.set(cid, thread);
      await evicted?.[Symbol.asyncDispose]();
      return thread;
    };
    return this.#opening.run(cid, work, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#threads.values()].map((thread) => thread[Symbol.asyncDispose]()));
    this.#threads.clear();
  }

  /** Leaves a place for a version; returns whose it was, who is to end. @throws {ERR_BUSY} when all are in use. */
  #takePlace(cid: VersionCid): TokenizerThread | undefined {
    this.#threads.delete(cid);
    if (this.#threads.size < MAX_TOKENIZERS) return undefined;
    const idle = [...this.#threads].find(([, { alive, busy }]) => !alive || !busy);
    if (idle === undefined) {
      throw new BusyError(
        `${MAX_TOKENIZERS} tokenizers are in use, expected fewer`,
        RETRY_AFTER_MS,
      );
    }
    const [oldest, thread] = idle;
    this.#threads.delete(oldest);
    return thread;
  }
}
