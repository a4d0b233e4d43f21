/** Buckets of a latency histogram: eight for each doubling, from half a millisecond. */
const BUCKETS = 160;
const PER_DOUBLING = 8;
const FIRST_MS = 0.5;

/** What happened to one version in one second. */
export interface SecondFigures {
  readonly atMs: number;
  readonly offered: number;
  readonly answered: number;
  /** Of the requests that came in that second, whenever it was that nodes refused them, or nobody had answered. */
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

/** What became of the requests that came in one second. */
interface SecondTally {
  readonly latencies: LatencyTally;
  refused: number;
  failed: number;
}

/** Counts of one version, booked each second. */
export class VersionRecord {
  readonly seconds: SecondFigures[] = [];
  readonly all = new LatencyTally();
  /** By the second in which requests came, for as long as some of them may be open. */
  readonly #open = new Map<number, SecondTally>();
  readonly #deadlineMs: number;
  #offered = 0;
  #answered = 0;
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
    this.#tallyOf(cameAtMs).latencies.add(latencyMs);
    this.all.add(latencyMs);
  }

  /** A node had no room; the request may be answered by another yet. */
  refused(cameAtMs: number): void {
    this.#tallyOf(cameAtMs).refused += 1;
  }

  /** A request was not answered: it is as slow as it may be. */
  failed(cameAtMs: number): void {
    const tally = this.#tallyOf(cameAtMs);
    tally.failed += 1;
    tally.latencies.add(2 * this.#deadlineMs);
  }

  book(atMs: number, replicas: Pick<SecondFigures, 'ready' | 'loading' | 'desired'>): void {
    const second = this.seconds.length;
    this.seconds.push({
      ...{ atMs, ...replicas, offered: this.#offered, answered: this.#answered },
      ...{ refused: 0, failed: 0, p50Ms: 0, p99Ms: 0 },
    });
    this.replicaMs += 1_000 * (replicas.ready + replicas.loading);
    this.#offered = 0;
    this.#answered = 0;
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
    const { latencies, refused, failed } = tally;
    const [p50Ms, p99Ms] = [latencies.quantileMs(0.5), latencies.quantileMs(0.99)];
    this.seconds[second] = { ...figures, refused, failed, p50Ms, p99Ms };
  }

  #tallyOf(cameAtMs: number): SecondTally {
    const second = Math.floor(cameAtMs / 1_000);
    const found = this.#open.get(second);
    if (found !== undefined) return found;
    const made = { latencies: new LatencyTally(), refused: 0, failed: 0 };
    this.#open.set(second, made);
    return made;
  }
}
