import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import { ConnectionError } from '../../protocols/errors.ts';
import { mayTellHook } from '../policy/provision-lease.ts';
import type { ProvisionLease, ProvisionLeaseInit } from '../swarm/provision-lease.ts';
import type { FleetOrder, FleetSizer } from './fleet-sizer.ts';
import { isHookAddress } from './hook-check.ts';

/** Milliseconds between two orders: a cloud takes minutes for a machine. */
const MIN_INTERVAL_MS = 30_000;

/** Milliseconds after which an order that still stands is given again: whoever gets it may have failed, or been started anew. */
const REPEAT_MS = 300_000;

/** Milliseconds that the hook may take. */
const HOOK_TIMEOUT_MS = 60_000;

/** Bytes of what a command says that are read: the log has the beginning of it. */
const MAX_OUTPUT_BYTES = 64 * 1024;

export interface ProvisionerInit {
  /** An address that gets a POST, `http…`, or else the path of a program. */
  readonly hook: string;
  /** @default 30000 */
  readonly minIntervalMs?: number | undefined;
  /** Takes part in the hook's lease, once the swarm was joined; undefined before that, to be asked again. */
  readonly joinLease: (init: ProvisionLeaseInit) => HookLease | undefined;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

/** Says whether it is this peer's turn to tell the hook. */
export type HookLease = Pick<ProvisionLease, 'isHolder' | 'stop'>;

/**
 * Tells whoever can start and stop machines how many there are to be. Of those with one hook, one
 * tells it. The number is absolute and told again while it stands, so that an order that is lost, or that several give, does no harm.
 */
export class Provisioner {
  readonly #fleet: Pick<FleetSizer, 'order' | 'onLook'>;
  readonly #init: ProvisionerInit;
  readonly #unsubscribe: () => void;
  readonly #stopping = new AbortController();
  #told: { readonly wanted: number; readonly atMs: number } | undefined;
  #telling: Promise<void> | undefined;
  #lease: HookLease | undefined;
  /** Since when there have been more or fewer nodes than are to be; undefined while there are as many. */
  #unfulfilledSinceMs: number | undefined;

  constructor(fleet: Pick<FleetSizer, 'order' | 'onLook'>, init: ProvisionerInit) {
    this.#fleet = fleet;
    this.#init = init;
    this.#unsubscribe = fleet.onLook((order) => this.#consider(order));
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#stopping.abort();
    await this.#telling;
    await this.#lease?.stop();
  }

  #consider(order: FleetOrder): void {
    const nowMs = performance.now();
    const { hook, joinLease } = this.#init;
    this.#lease ??= joinLease({ hook, canTell: () => this.#fleet.order !== undefined });
    if (order.wanted === order.present) this.#unfulfilledSinceMs = undefined;
    else this.#unfulfilledSinceMs ??= nowMs;
    const ageMs = nowMs - (this.#told?.atMs ?? Number.NEGATIVE_INFINITY);
    const isNews = order.wanted !== (this.#told?.wanted ?? order.present);
    const isDue = order.wanted !== order.present && ageMs >= REPEAT_MS;
    if (this.#telling !== undefined || (!isNews && !isDue)) return;
    if (ageMs < (this.#init.minIntervalMs ?? MIN_INTERVAL_MS)) return;
    const { isHolder = false } = this.#lease ?? {};
    if (!mayTellHook({ isHolder, unfulfilledSinceMs: this.#unfulfilledSinceMs }, nowMs)) return;
    this.#told = { wanted: order.wanted, atMs: nowMs };
    this.#telling = this.#tell(order).finally(() => {
      this.#telling = undefined;
    });
  }

  /** Never rejects: the order is given again while it stands. */
  async #tell(order: FleetOrder): Promise<void> {
    const { hook, logger } = this.#init;
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(HOOK_TIMEOUT_MS)]);
    try {
      if (isHookAddress(hook)) await post(hook, order, signal);
      else await run(hook, order, signal);
      logger.info(order, 'told how many nodes there are to be');
    } catch (error) {
      if (!this.#stopping.signal.aborted) {
        logger.warn(
          { err: error, ...order },
          'nobody could be told how many nodes there are to be',
        );
      }
    }
  }
}

async function post(url: string, order: FleetOrder, signal: AbortSignal): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(order),
    redirect: 'error',
    signal,
  });
  await response.body?.cancel();
  if (!response.ok) throw new ConnectionError(`${url} answered ${response.status}, expected 2xx`);
}

/** The program gets the numbers as its words: how many there are to be, then how many there are. */
async function run(program: string, order: FleetOrder, signal: AbortSignal): Promise<void> {
  await promisify(execFile)(program, [String(order.wanted), String(order.present)], {
    signal,
    maxBuffer: MAX_OUTPUT_BYTES,
    windowsHide: true,
  });
}
