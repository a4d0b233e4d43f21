import { setTimeout as delay } from 'node:timers/promises';
import { DEFAULT_COOL_DOWN_MS, FleetTarget } from '../policy/fleet-target.ts';
import type { FleetLook } from '../swarm/fleet-watch.ts';
import { FIRST_LOOKS } from '../swarm/scaling-onlooker.ts';
import type { FleetInit } from './fleet-init.ts';

/** Milliseconds that asking the peers around who is there may take. */
const SURVEY_TIMEOUT_MS = 10_000;

/** Milliseconds between two looks. */
const DEFAULT_TICK_MS = 2_000;

interface FleetSizerInit extends FleetInit {
  /** @default 2000 */
  readonly tickMs?: number | undefined;
  /** Hears of a look that failed; the next one follows. */
  readonly onFailure: (error: unknown) => void;
}

/** Looks at the fleet, once the swarm was joined. */
export interface FleetSource {
  /** Asks the peers around who is there: what gossip tells alone takes as long as nodes wait between two announcements. */
  survey(signal: AbortSignal): Promise<void>;
  look(nowMs: number): FleetLook;
  stop(): Promise<void>;
}

/** How many machines there are, and how many there are to be. */
export interface FleetOrder {
  readonly present: number;
  readonly wanted: number;
}

/**
 * How many machines the swarm is to have, for the engines that start and stop them. It says nothing before it has seen the swarm, nor
 * while it sees nobody: who is cut off must not have all machines stopped.
 */
export class FleetSizer {
  readonly #open: () => FleetSource | undefined;
  readonly #init: FleetSizerInit;
  readonly #target: FleetTarget;
  readonly #stopping = new AbortController();
  readonly #listeners = new Set<(order: FleetOrder) => void>();
  #source: FleetSource | undefined;
  #running: Promise<void> = Promise.resolve();
  /** Looks since somebody was there. */
  #looks = 0;
  /** Until when nothing shrinks: what was needed before it saw anybody it does not know. */
  #growsOnlyUntilMs = 0;
  #order: FleetOrder | undefined;

  /** @param open gives what to look with; undefined until the swarm was joined */
  constructor(open: () => FleetSource | undefined, init: FleetSizerInit) {
    this.#open = open;
    this.#init = init;
    this.#target = new FleetTarget(init);
  }

  /** Undefined while nobody can say. */
  get order(): FleetOrder | undefined {
    return this.#order;
  }

  /** Calls back after each look that found the swarm; returns what ends it. */
  onLook(listener: (order: FleetOrder) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Looks once; {@link start} has it look every few seconds. */
  async look(nowMs = Date.now()): Promise<void> {
    this.#source ??= this.#open();
    if (this.#source === undefined) return;
    if (this.#looks === 0) await this.#source.survey(this.#within(SURVEY_TIMEOUT_MS));
    const { hosts, present } = this.#source.look(nowMs);
    if (present === 0) {
      this.#order = undefined;
      this.#looks = 0;
      return;
    }
    this.#looks += 1;
    if (this.#looks === 1) {
      this.#growsOnlyUntilMs = nowMs + (this.#init.coolDownMs ?? DEFAULT_COOL_DOWN_MS);
    }
    if (this.#looks < FIRST_LOOKS) return;
    const needed = nowMs < this.#growsOnlyUntilMs ? Math.max(hosts, present) : hosts;
    this.#order = { present, wanted: this.#target.next(needed, present, nowMs) };
    for (const listener of this.#listeners) listener(this.#order);
  }

  start(): void {
    this.#running = this.#keepLooking();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#source?.stop();
  }

  #within(ms: number): AbortSignal {
    return AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(ms)]);
  }

  async #keepLooking(): Promise<void> {
    const { signal } = this.#stopping;
    const { tickMs = DEFAULT_TICK_MS, onFailure } = this.#init;
    while (!signal.aborted) {
      try {
        await this.look();
      } catch (error) {
        if (!signal.aborted) onFailure(error);
      }
      await delay(tickMs, undefined, { signal, ref: false }).catch(() => {
        // It ends at the next look at the signal.
      });
    }
  }
}
