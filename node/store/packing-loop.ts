import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { StorePacking } from './store-packing.ts';

/**
 * Milliseconds between two looks at what can be packed: a half of the time that a version must have been idle. A look at a
 * store where nothing changed reads the index and no file.
 */
const PACK_INTERVAL_MS = 5 * 60_000;

/** Packs what the node has stopped using, in the background. */
export class PackingLoop {
  readonly #packing: StorePacking;
  readonly #logger: Pick<Logger, 'info' | 'warn'>;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(packing: StorePacking, logger: Pick<Logger, 'info' | 'warn'>) {
    this.#packing = packing;
    this.#logger = logger;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Gives up what is being packed, which stays as it was. */
  async stop(): Promise<void> {
    this.#stopping.abort(new DOMException('the node stops', 'AbortError'));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await delay(PACK_INTERVAL_MS, undefined, { signal, ref: false });
        for await (const version of this.#packing.pack({ signal })) {
          this.#logger.info(version, version.packed ? 'version packed' : 'version unpacked');
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#logger.warn({ err: error }, 'versions cannot be packed, tried again later');
      }
    }
  }
}
