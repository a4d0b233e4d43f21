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

  clear(): void {
    this.#counts.fill(0);
    this.total = 0;
  }
}

/** Counts of one version, booked each second. */
export class VersionRecord {
  readonly seconds: SecondFigures[] = [];
  readonly all = new LatencyTally();
  readonly #second = new LatencyTally();
  #offered = 0;
  #answered = 0;
  #refused = 0;
  #failed = 0;
  /** Milliseconds that replicas were in memory, loading ones included. */
  replicaMs = 0;

  offered(): void {
    this.#offered += 1;
  }

  answered(latencyMs: number): void {
    this.#answered += 1;
    this.#second.add(latencyMs);
    this.all.add(latencyMs);
  }

  /** A node had no room; the request may be answered by another yet. */
  refused(): void {
    this.#refused += 1;
  }

  failed(): void {
    this.#failed += 1;
  }

  book(atMs: number, replicas: Pick<SecondFigures, 'ready' | 'loading' | 'desired'>): void {
    this.seconds.push({
      ...{ atMs, ...replicas, offered: this.#offered, answered: this.#answered },
      ...{ refused: this.#refused, failed: this.#failed },
      p50Ms: this.#second.quantileMs(0.5),
      p99Ms: this.#second.quantileMs(0.99),
    });
    this.replicaMs += 1_000 * (replicas.ready + replicas.loading);
    this.#offered = 0;
    this.#answered = 0;
    this.#refused = 0;
    this.#failed = 0;
    this.#second.clear();
  }
}
