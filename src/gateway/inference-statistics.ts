import { BoundedMap } from '../../protocols/bounded-map.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { ServedModel } from './model-directory.ts';

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

/** What came of a request, in milliseconds. */
export interface CountedRequest {
  readonly rows: number;
  readonly latencyMs: number;
  readonly queueMs: number;
  readonly executeMs: number;
}

interface Counts {
  readonly name: string;
  readonly cid: VersionCid;
  readonly version: string;
  lastMs: number;
  rows: number;
  answered: number;
  answeredMs: number;
  failed: number;
  failedMs: number;
  queueMs: number;
  executeMs: number;
}

/**
 * What this gateway sent to each version and what came of it. Queue and execution are as the nodes that answered told; what lies
 * between them and `success` is the network.
 */
export class InferenceStatistics {
  readonly #counts = new BoundedMap<string, Counts>(MAX_COUNTED);

  answered(model: ServedModel, { rows, latencyMs, queueMs, executeMs }: CountedRequest): void {
    const counts = this.#of(model);
    counts.lastMs = Date.now();
    counts.rows += rows;
    counts.answered += 1;
    counts.answeredMs += latencyMs;
    counts.queueMs += queueMs;
    counts.executeMs += executeMs;
  }

  failed(model: ServedModel, latencyMs: number): void {
    const counts = this.#of(model);
    counts.failed += 1;
    counts.failedMs += latencyMs;
  }

  /** Of one version, also when it was never asked. */
  of(model: ServedModel): ModelStatistics {
    return { ...format(this.#counts.get(key(model)) ?? empty(model)), name: model.asked };
  }

  /** Of every version that was asked. */
  all(): ModelStatistics[] {
    return [...this.#counts.values()].map(format);
  }

  #of(model: ServedModel): Counts {
    const known = this.#counts.get(key(model));
    if (known !== undefined) return known;
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
    ...{ failed: 0, failedMs: 0, queueMs: 0, executeMs: 0 },
  };
}

function format(counts: Counts): ModelStatistics {
  const { answered, failed } = counts;
  const duration = (count: number, ms: number): DurationCount => ({
    count,
    ns: Math.round(ms * NS_PER_MS),
  });
  return {
    name: counts.name,
    version: counts.version,
    last_inference: counts.lastMs,
    inference_count: counts.rows,
    execution_count: answered,
    inference_stats: {
      success: duration(answered, counts.answeredMs),
      fail: duration(failed, counts.failedMs),
      queue: duration(answered, counts.queueMs),
      compute_input: duration(answered, 0),
      compute_infer: duration(answered, counts.executeMs),
      compute_output: duration(answered, 0),
      cache_hit: duration(0, 0),
      cache_miss: duration(0, 0),
    },
    batch_stats: [],
    memory_usage: [],
    response_stats: {},
  };
}
