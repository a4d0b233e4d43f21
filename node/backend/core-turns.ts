import { BusyError } from '../../protocols/errors.ts';

/** Runs of one version that may wait for cores: whoever queues requests bounds them far below. */
const MAX_WAITING = 4096;

/** Versions whose share is remembered while they want nothing. */
const MAX_IDLE_VERSIONS = 256;

/** Milliseconds for which any run waits for those before it. */
const PATIENCE_MS = 100;

/** Runs of its own length for which a run waits: a long one for long ones, a short one not for them. */
const PATIENCE_RUNS = 4;

/** Cores that a run has. */
export interface CoreTurn {
  /** Gives them back. Idempotent. */
  release(): void;
}

interface Waiting {
  readonly cores: number;
  readonly sinceMs: number;
  readonly grant: (turn: CoreTurn) => void;
}

/** Cores of a run under way, since when. */
interface Held {
  readonly cores: number;
  readonly sinceMs: number;
  /** True once others waited for it too long: from then on it shares the cores with them. */
  shared: boolean;
}

/** What one version has had, has, and wants. */
interface Share {
  /** Milliseconds times cores of the runs that are over, or those it was charged with when it came after a rest: virtual time. */
  usedMs: number;
  /** Milliseconds of its runs, the last ones counting most; 0 before the first. */
  runMs: number;
  readonly running: Held[];
  readonly waiting: Waiting[];
}

/**
 * The cores that models of one node may compute on at once, in turns that are fair over versions.
 *
 * Of those that wait, the version that has used least comes next, by start-time fair queueing (Goyal, Vin and Cheng, 1996): many
 * runs get a version no more than long ones do, and a rest earns nothing. A run for which the free cores are too few is not
 * overtaken, or one that wants all of them would wait for ever.
 *
 * A run cannot be called back. Who waits for a long one waits for 100 ms, or four runs of its own length when that is more;
 * then the long one counts no longer, and the system divides the time between both: a model that does not end, as its sender may
 * have it, holds up nobody.
 */
export class CoreTurns {
  /** Cores there are. */
  readonly total: number;
  readonly #now: () => number;
  readonly #shares = new Map<string, Share>();
  #free: number;
  #timer: NodeJS.Timeout | undefined;
  /** Virtual time of the last that was granted: what comes after a rest begins here. */
  #floorMs = 0;

  constructor(total: number, now: () => number = () => performance.now()) {
    this.total = total;
    this.#free = total;
    this.#now = now;
  }

  /** Cores in use now. */
  get busy(): number {
    return this.total - this.#free;
  }

  /** Whether any run waits for cores. */
  get contended(): boolean {
    for (const { waiting } of this.#shares.values()) if (waiting.length > 0) return true;
    return false;
  }

  /** Cores for a run, when nobody waits and as many are free; undefined when it has to wait for them. */
  takeAtOnce(version: string, cores: number): CoreTurn | undefined {
    const wanted = Math.min(cores, this.total);
    if (wanted > this.#free || this.contended) return undefined;
    return this.#grant(this.#shareOf(version), wanted);
  }

  /**
   * Resolves when a run may have so many cores, all there are at most. An aborted `signal` rejects with its reason and gives up the place.
   *
   * @throws {ERR_BUSY} when thousands of runs of the version wait already.
   */
  async take(version: string, cores: number, signal?: AbortSignal): Promise<CoreTurn> {
    signal?.throwIfAborted();
    const share = this.#shareOf(version);
    if (share.waiting.length >= MAX_WAITING) {
      throw new BusyError(`${share.waiting.length} runs of this version wait for cores`, 1_000);
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        const index = share.waiting.indexOf(waiting);
        if (index < 0) return;
        share.waiting.splice(index, 1);
        reject(signal?.reason);
        // It may have stood in the way of smaller ones.
        this.#advance();
      };
      const waiting: Waiting = {
        cores: Math.min(cores, this.total),
        sinceMs: this.#now(),
        grant: (turn) => {
          signal?.removeEventListener('abort', onAbort);
          resolve(turn);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      share.waiting.push(waiting);
      this.#advance();
    });
  }

  #shareOf(version: string): Share {
    const known = this.#shares.get(version);
    const share: Share = known ?? {
      usedMs: this.#floorMs,
      runMs: 0,
      running: [],
      waiting: [],
    };
    if (share.running.length === 0 && share.waiting.length === 0) {
      share.usedMs = Math.max(share.usedMs, this.#floorMs);
    }
    if (known === undefined) this.#remember(version, share);
    return share;
  }

  #remember(version: string, share: Share): void {
    this.#shares.set(version, share);
    if (this.#shares.size <= MAX_IDLE_VERSIONS) return;
    for (const [name, { running, waiting }] of this.#shares) {
      if (name === version || running.length > 0 || waiting.length > 0) continue;
      this.#shares.delete(name);
      return;
    }
  }

  #advance(): void {
    clearTimeout(this.#timer);
    for (;;) {
      const next = this.#next();
      const first = next?.waiting[0];
      if (next === undefined || first === undefined) return;
      if (first.cores > this.#free) {
        const waitedMs = this.#now() - first.sinceMs;
        const restMs = patienceMs(next) - waitedMs;
        if (restMs > 0 || !this.#share(first.cores, patienceMs(next))) {
          this.#timer = setTimeout(() => this.#advance(), Math.max(1, Math.ceil(restMs))).unref();
          return;
        }
      }
      next.waiting.shift();
      first.grant(this.#grant(next, first.cores));
    }
  }

  /** Counts those no longer that have run longest, longer than that at least, until so many cores are free; false when they are not. */
  #share(cores: number, longerThanMs: number): boolean {
    const nowMs = this.#now();
    const long = [...this.#shares.values()]
      .flatMap(({ running }) => running)
      .filter((held) => !held.shared && nowMs - held.sinceMs >= longerThanMs)
      .toSorted((a, b) => a.sinceMs - b.sinceMs);
    for (const held of long) {
      if (cores <= this.#free) break;
      held.shared = true;
      this.#free += held.cores;
    }
    return cores <= this.#free;
  }

  /** The version that has used least, what runs now included; of those that have used the same, the one with least under way. */
  #next(): Share | undefined {
    const nowMs = this.#now();
    let next: Share | undefined;
    for (const share of this.#shares.values()) {
      if (share.waiting.length === 0) continue;
      if (next === undefined || order(share, next, nowMs) < 0) next = share;
    }
    return next;
  }

  #grant(share: Share, cores: number): CoreTurn {
    const held: Held = { cores, sinceMs: this.#now(), shared: false };
    this.#free -= cores;
    this.#floorMs = Math.max(this.#floorMs, share.usedMs);
    share.running.push(held);
    return {
      release: () => {
        const index = share.running.indexOf(held);
        if (index < 0) return;
        share.running.splice(index, 1);
        if (!held.shared) this.#free += cores;
        const runMs = this.#now() - held.sinceMs;
        share.usedMs += cores * runMs;
        share.runMs = share.runMs === 0 ? runMs : share.runMs + (runMs - share.runMs) / 4;
        this.#advance();
      },
    };
  }
}

function patienceMs({ runMs }: Share): number {
  return Math.max(PATIENCE_MS, PATIENCE_RUNS * runMs);
}

function order(a: Share, b: Share, nowMs: number): number {
  const used = ({ usedMs, running }: Share): number =>
    running.reduce((sum, { cores, sinceMs }) => sum + cores * (nowMs - sinceMs), usedMs);
  return used(a) - used(b) || a.running.length - b.running.length;
}
