import { BoundedMap } from '../../../protocols/bounded-map.ts';
import type { VersionCid } from '../../../protocols/types.ts';
import type { ServedModel } from '../models/model-directory.ts';
import type { AnsweredRequest } from '../request-outcome.ts';

/** Versions counted; the one counted first goes first. */
const MAX_COUNTED = 1024;

const NS_PER_MS = 1e6;

/** A counter and the nanoseconds it stands for. */
export interface DurationCount {
  readonly count: number;
  readonly ns: number;
}

/** One version's counts, by the names of Triton's statistics extension. */
export interface ModelStatistics {
  readonly name: string;
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly last_inference: number;
  /** Rows: a request of a batch of 8 counts 8. */
  readonly inference_count: number;
  readonly execution_count: number;
  readonly inference_stats: {
    readonly success: DurationCount;
    readonly fail: DurationCount;
    readonly queue: DurationCount;
    readonly compute_input: DurationCount;
    readonly compute_infer: DurationCount;
    readonly compute_output: DurationCount;
    readonly cache_hit: DurationCount;
    readonly cache_miss: DurationCount;
  };
  readonly batch_stats: readonly never[];
  readonly memory_usage: readonly never[];
  readonly response_stats: Readonly<Record<string, never>>;
}

interface Counts {
  readonly name: string;
  readonly cid: VersionCid;
  /** The last release sequence under which it was asked for, or the CID until there was one. */
  version: string;
  lastMs: number;
  /** Of requests that nodes answered, as the two below. */
  rows: number;
  executed: number;
  executeMs: number;
  answered: number;
  answeredMs: number;
  failed: number;
  failedMs: number;
  queueMs: number;
  hits: number;
  hitMs: number;
  misses: number;
  missMs: number;
}

/**
 * What this gateway sent to each version and what came of it. Queue and execution are as the nodes that answered told; what lies
 * between them and `success` is the network.
 */
export class InferenceStatistics {
  readonly #counts = new BoundedMap<string, Counts>(MAX_COUNTED);

  answered(model: ServedModel, { rows, latencyMs, node, cacheMs }: AnsweredRequest): void {
    const counts = this.#of(model);
    counts.lastMs = Date.now();
    counts.answered += 1;
    counts.answeredMs += latencyMs;
    if (node === undefined) {
      counts.hits += 1;
      counts.hitMs += cacheMs ?? 0;
      return;
    }
    counts.rows += rows;
    counts.executed += 1;
    counts.queueMs += node.queueMs;
    counts.executeMs += node.executeMs;
    if (cacheMs === undefined) return;
    counts.misses += 1;
    counts.missMs += cacheMs;
  }

  failed(model: ServedModel, latencyMs: number): void {
    const counts = this.#of(model);
    counts.failed += 1;
    counts.failedMs += latencyMs;
  }

  /** Of one version, also when it was never asked. */
  of(model: ServedModel): ModelStatistics {
    const { asked: name, version } = model;
    return { ...format(this.#counts.get(key(model)) ?? empty(model)), name, version };
  }

  /** Of every version that was asked. */
  all(): ModelStatistics[] {
    return [...this.#counts.values()].map(format);
  }

  #of(model: ServedModel): Counts {
    const known = this.#counts.get(key(model));
    if (known !== undefined) {
      // A rollback gives the version a new sequence.
      if (model.version !== model.cid) known.version = model.version;
      return known;
    }
    const counts = empty(model);
    this.#counts.set(key(model), counts);
    return counts;
  }
}

function key({ name, cid }: ServedModel): string {
  return `${name}@${cid}`;
}

function empty({ name, cid, version }: ServedModel): Counts {
  return {
    ...{ name, cid, version, lastMs: 0, rows: 0, answered: 0, answeredMs: 0 },
    ...{ failed: 0, failedMs: 0, queueMs: 0, executed: 0, executeMs: 0 },
    ...{ hits: 0, hitMs: 0, misses: 0, missMs: 0 },
  };
}

function format(counts: Counts): ModelStatistics {
  const { answered, failed, executed } = counts;
  const duration = (count: number, ms: number): DurationCount => ({
    count,
    ns: Math.round(ms * NS_PER_MS),
  });
  return {
    name: counts.name,
    version: counts.version,
    last_inference: counts.lastMs,
    inference_count: counts.rows,
    execution_count: executed,
    inference_stats: {
      success: duration(answered, counts.answeredMs),
      fail: duration(failed, counts.failedMs),
      queue: duration(answered, counts.queueMs),
      compute_input: duration(executed, 0),
      compute_infer: duration(executed, counts.executeMs),
      compute_output: duration(executed, 0),
      cache_hit: duration(counts.hits, counts.hitMs),
      cache_miss: duration(counts.misses, counts.missMs),
    },
    batch_stats: [],
    memory_usage: [],
    response_stats: {},
  };
}
