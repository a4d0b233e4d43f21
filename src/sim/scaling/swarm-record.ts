/** Buckets of a latency histogram: eight for each doubling, from half a millisecond. */
const BUCKETS = 160;
const PER_DOUBLING = 8;
const FIRST_MS = 0.5;

/** What happened to one version in one second. */
export interface SecondFigures {
  readonly atMs: number;
  readonly offered: number;
  readonly answered: number;
  readonly refused: number;
  readonly failed: number;
  readonly ready: number;
  readonly loading: number;
  readonly desired: number;
  /** Of the requests that came in that second, however late they were answered. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Latencies of many requests, each known to within a tenth. */
export class LatencyTally {
  readonly #counts = new Uint32Array(BUCKETS);
  total = 0;

  add(latencyMs: number): void {
    const bucket = Math.floor(PER_DOUBLING * Math.log2(Math.max(1, latencyMs / FIRST_MS)));
    const index = Math.min(BUCKETS - 1, bucket);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.total += 1;
  }

  /** The upper bound of the bucket in which the share is reached; 0 of none. */
  quantileMs(share: number): number {
    const rank = Math.ceil(this.total * share);
    let seen = 0;
    for (let index = 0; index < BUCKETS; index += 1) {
      seen += this.#counts[index] ?? 0;
      if (seen >= rank && rank > 0) return FIRST_MS * 2 ** ((index + 1) / PER_DOUBLING);
    }
    return 0;
  }
}

/** Counts of one version, booked each second. */
export class VersionRecord {
  readonly seconds: SecondFigures[] = [];
  readonly all = new LatencyTally();
  /** By the second in which requests came, for as long as some of them may be open. */
  readonly #open = new Map<number, LatencyTally>();
  readonly #deadlineMs: number;
  #offered = 0;
  #answered = 0;
  #refused = 0;
  #failed = 0;
  /** Milliseconds that replicas were in memory, loading ones included. */
  replicaMs = 0;

  constructor(deadlineMs: number) {
    this.#deadlineMs = deadlineMs;
  }

  offered(): void {
    this.#offered += 1;
  }

  answered(cameAtMs: number, latencyMs: number): void {
    this.#answered += 1;
    this.#tallyOf(cameAtMs).add(latencyMs);
    this.all.add(latencyMs);
  }

  /** A node had no room; the request may be answered by another yet. */
  refused(): void {
    this.#refused += 1;
  }

  /** A request was not answered: it is as slow as it may be. */
  failed(cameAtMs: number): void {
    this.#failed += 1;
    this.#tallyOf(cameAtMs).add(2 * this.#deadlineMs);
  }

  book(atMs: number, replicas: Pick<SecondFigures, 'ready' | 'loading' | 'desired'>): void {
    const second = this.seconds.length;
    this.seconds.push({
      ...{ atMs, ...replicas, offered: this.#offered, answered: this.#answered },
      ...{ refused: this.#refused, failed: this.#failed, p50Ms: 0, p99Ms: 0 },
    });
    this.replicaMs += 1_000 * (replicas.ready + replicas.loading);
    this.#offered = 0;
    this.#answered = 0;
    this.#refused = 0;
    this.#failed = 0;
    // An answer may be on its way for a little longer than the deadline.
    this.#close(second - Math.ceil(this.#deadlineMs / 1_000) - 1);
  }

  /** Fills in the seconds whose requests were still open. */
  end(): void {
    for (const second of [...this.#open.keys()]) this.#close(second);
  }

  #close(second: number): void {
    const [tally, figures] = [this.#open.get(second), this.seconds[second]];
    this.#open.delete(second);
    if (tally === undefined || figures === undefined) return;
    const [p50Ms, p99Ms] = [tally.quantileMs(0.5), tally.quantileMs(0.99)];
    this.seconds[second] = { ...figures, p50Ms, p99Ms };
  }

  #tallyOf(cameAtMs: number): LatencyTally {
    const second = Math.floor(cameAtMs / 1_000);
    const found = this.#open.get(second) ?? new LatencyTally();
    if (found.total === 0) this.#open.set(second, found);
    return found;
  }
}
