import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { lookIntervalMs } from '../../src/policy/retirement.ts';
import type { StorePacking } from './store-packing.ts';

/** Milliseconds between two looks at what can be packed, at most. A look at a store where nothing changed reads the index and no file. */
const MAX_PACK_INTERVAL_MS = 5 * 60_000;

export interface PackingLoopInit {
  /** Milliseconds without a load or a request. */
  readonly idleMs: number;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

/** Packs what the node has stopped using, in the background. */
export class PackingLoop {
  readonly #packing: StorePacking;
  readonly #init: PackingLoopInit;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(packing: StorePacking, init: PackingLoopInit) {
    this.#packing = packing;
    this.#init = init;
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
    const { idleMs, logger } = this.#init;
    const intervalMs = lookIntervalMs(idleMs, MAX_PACK_INTERVAL_MS);
    while (!signal.aborted) {
      try {
        await delay(intervalMs, undefined, { signal, ref: false });
        for await (const version of this.#packing.pack({ idleMs, signal })) {
          logger.info(version, version.packed ? 'version packed' : 'version unpacked');
        }
      } catch (error) {
        if (signal.aborted) return;
        logger.warn({ err: error }, 'versions cannot be packed, tried again later');
      }
    }
  }
}
