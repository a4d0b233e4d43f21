/** Milliseconds for which the most that was needed stays ordered: a machine costs more to start than to keep for a while. */
export const DEFAULT_COOL_DOWN_MS = 300_000;

/** How fast it grows: to twice as many, or four more, within this. @see Kubernetes, "Horizontal Pod Autoscaling", default behavior */
const GROWTH_INTERVAL_MS = 15_000;
const GROWTH_FACTOR = 2;
const GROWTH_STEP = 4;

export interface FleetTargetInit {
  /** Machines there are at least, and at most. */
  readonly min: number;
  readonly max: number;
  /** @default 300000 */
  readonly coolDownMs?: number | undefined;
}

interface Need {
  readonly atMs: number;
  readonly hosts: number;
}

/**
 * The number of machines to have, from what is needed at each look: up within limits of pace, down only to the most that was needed
 * over the cool-down. Pure but for what it remembers: time is an argument.
 */
export class FleetTarget {
  readonly #min: number;
  readonly #max: number;
  readonly #coolDownMs: number;
  #needs: readonly Need[] = [];
  /** What was ordered of late. */
  #orders: readonly Need[] = [];

  constructor({ min, max, coolDownMs = DEFAULT_COOL_DOWN_MS }: FleetTargetInit) {
    this.#min = min;
    this.#max = Math.max(min, max);
    this.#coolDownMs = coolDownMs;
  }

  /** Takes in what is needed now, of as many as there are, and says how many there are to be. */
  next(hosts: number, present: number, nowMs: number): number {
    this.#needs = [...since(this.#needs, nowMs - this.#coolDownMs), { atMs: nowMs, hosts }];
    const wanted = Math.max(...this.#needs.map((need) => need.hosts));
    const orders = since(this.#orders, nowMs - GROWTH_INTERVAL_MS);
    const base = Math.max(1, Math.min(present, ...orders.map((order) => order.hosts)));
    // Only growth has a pace: of those that are there, or were ordered last, none is to go because few came into view of late.
    const standing = Math.max(present, this.#orders.at(-1)?.hosts ?? 0);
    const paced = Math.min(wanted, Math.max(standing, GROWTH_FACTOR * base, GROWTH_STEP + base));
    const target = Math.min(this.#max, Math.max(this.#min, paced));
    this.#orders = [...orders, { atMs: nowMs, hosts: target }];
    return target;
  }
}

function since(needs: readonly Need[], fromMs: number): readonly Need[] {
  return needs.filter(({ atMs }) => atMs > fromMs);
}
