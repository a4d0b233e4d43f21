import { Counter, Gauge, type Registry } from 'prom-client';
import type { ServedModel } from '../models/model-directory.ts';
import type { FailureKind } from '../refusal.ts';
import type { AnsweredRequest } from '../request-outcome.ts';
import { BoundedLabels } from '../../swarm/bounded-labels.ts';
import type { MetricsListener } from './metrics-listener.ts';

/** Versions of models that have labels of their own. */
const MAX_LABELLED_VERSIONS = 512;

const US_PER_MS = 1000;

const COUNTERS = {
  nv_inference_request_success: 'Requests that were answered.',
  nv_inference_count: 'Rows that nodes answered: a request of a batch of 8 counts 8.',
  nv_inference_exec_count: 'Requests that nodes answered: they batch those of all their callers.',
  nv_inference_request_duration_us: 'Microseconds from request to answer.',
  nv_inference_queue_duration_us: 'Microseconds in queues, as the nodes told.',
  nv_inference_compute_input_duration_us: 'Always 0: a part of the next.',
  nv_inference_compute_infer_duration_us: 'Microseconds in the model, as the nodes told.',
  nv_inference_compute_output_duration_us: 'Always 0: a part of the former.',
  nv_cache_num_hits_per_model: 'Answers that were kept.',
  nv_cache_num_misses_per_model: 'Answers that were looked for and not kept.',
  nv_cache_hit_duration_per_model: 'Microseconds of looking for answers that were kept.',
  nv_cache_miss_duration_per_model: 'Microseconds of looking for answers that were not kept.',
} as const;

type Labels = { readonly model: string; readonly version: string };

/** Why requests failed, in Triton's words. */
const REASONS: Partial<Record<FailureKind, string>> = {
  exhausted: 'REJECTED',
  unavailable: 'REJECTED',
  cancelled: 'CANCELED',
  internal: 'BACKEND',
};

/**
 * The gateway's metrics under Triton's names and in its units, for dashboards that are there already.
 *
 * @see https://github.com/triton-inference-server/server, docs/user_guide/metrics.md
 */
export class TritonMetrics implements MetricsListener {
  readonly #counters: Readonly<Record<keyof typeof COUNTERS, Counter<'model' | 'version'>>>;
  readonly #failures: Counter<'model' | 'version' | 'reason'>;
  readonly #pending: Gauge<'model' | 'version'>;
  readonly #known = new BoundedLabels(MAX_LABELLED_VERSIONS);

  constructor(registry: Registry) {
    const registers = [registry];
    const labelNames = ['model', 'version'] as const;
    this.#counters = Object.fromEntries(
      Object.entries(COUNTERS).map(([name, help]) => [
        name,
        new Counter({ name, help, labelNames, registers }),
      ]),
    ) as Record<keyof typeof COUNTERS, Counter<'model' | 'version'>>;
    this.#failures = new Counter({
      name: 'nv_inference_request_failure',
      help: 'Requests that were not answered.',
      labelNames: [...labelNames, 'reason'],
      registers,
    });
    this.#pending = new Gauge({
      name: 'nv_inference_pending_request_count',
      help: 'Requests that have not ended.',
      labelNames,
      registers,
    });
  }

  began(model: ServedModel): void {
    this.#pending.inc(this.#labelsOf(model));
  }

  answered(model: ServedModel, { rows, latencyMs, node, cacheMs }: AnsweredRequest): void {
    const labels = this.#labelsOf(model);
    const add = (name: keyof typeof COUNTERS, amount: number): void =>
      this.#counters[name].inc(labels, amount);
    this.#pending.dec(labels);
    add('nv_inference_request_success', 1);
    add('nv_inference_request_duration_us', latencyMs * US_PER_MS);
    add('nv_inference_count', node === undefined ? 0 : rows);
    add('nv_inference_exec_count', node === undefined ? 0 : 1);
    add('nv_inference_queue_duration_us', (node?.queueMs ?? 0) * US_PER_MS);
    add('nv_inference_compute_input_duration_us', 0);
    add('nv_inference_compute_infer_duration_us', (node?.executeMs ?? 0) * US_PER_MS);
    add('nv_inference_compute_output_duration_us', 0);
    if (cacheMs === undefined) return;
    const hit = node === undefined;
    add(hit ? 'nv_cache_num_hits_per_model' : 'nv_cache_num_misses_per_model', 1);
    add(
      hit ? 'nv_cache_hit_duration_per_model' : 'nv_cache_miss_duration_per_model',
      cacheMs * US_PER_MS,
    );
  }

  failed(model: ServedModel, kind: FailureKind): void {
    const labels = this.#labelsOf(model);
    this.#pending.dec(labels);
    this.#failures.inc({ ...labels, reason: REASONS[kind] ?? 'OTHER' });
  }

  #labelsOf({ name, version }: ServedModel): Labels {
    const known = this.#known.of(`${name}@${version}`) !== 'other';
    return known ? { model: name, version } : { model: 'other', version: '' };
  }
}
