import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ServedModel } from '../models/model-directory.ts';
import type { AnsweredRequest } from '../request-outcome.ts';
import { BoundedLabels } from '../../swarm/bounded-labels.ts';
import type { MetricsListener } from './metrics-listener.ts';

/** Models that have a label of their own. */
const MAX_LABELLED_MODELS = 512;

/** Seconds, vLLM's own for whole requests. */
const BUCKETS = [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480];

/**
 * Those of the gateway's metrics that vLLM has too, under its names. Tokens are none: what is served here answers tensors.
 *
 * @see https://github.com/vllm-project/vllm, docs/usage/metrics.md
 */
export class VllmMetrics implements MetricsListener {
  readonly #known = new BoundedLabels(MAX_LABELLED_MODELS);
  readonly #running: Gauge<'model_name'>;
  readonly #success: Counter<'model_name' | 'finished_reason'>;
  readonly #latency: Histogram<'model_name'>;
  readonly #queue: Histogram<'model_name'>;
  readonly #inference: Histogram<'model_name'>;

  constructor(registry: Registry) {
    const registers = [registry];
    const labelNames = ['model_name'] as const;
    const histogram = (name: string, help: string) =>
      new Histogram({ name, help, labelNames, buckets: BUCKETS, registers });
    this.#running = new Gauge({
      name: 'vllm:num_requests_running',
      help: 'Requests that have not ended.',
      labelNames,
      registers,
    });
    this.#success = new Counter({
      name: 'vllm:request_success_total',
      help: 'Requests that were answered.',
      labelNames: [...labelNames, 'finished_reason'],
      registers,
    });
    this.#latency = histogram('vllm:e2e_request_latency_seconds', 'From request to answer.');
    this.#queue = histogram('vllm:request_queue_time_seconds', 'In the queue of the node.');
    this.#inference = histogram('vllm:request_inference_time_seconds', 'In the model.');
  }

  began(model: ServedModel): void {
    this.#running.inc(this.#labelsOf(model));
  }

  answered(model: ServedModel, { latencyMs, node }: AnsweredRequest): void {
    const labels = this.#labelsOf(model);
    this.#running.dec(labels);
    this.#success.inc({ ...labels, finished_reason: 'stop' });
    this.#latency.observe(labels, latencyMs / 1000);
    if (node === undefined) return;
    this.#queue.observe(labels, node.queueMs / 1000);
    this.#inference.observe(labels, node.executeMs / 1000);
  }

  failed(model: ServedModel): void {
    this.#running.dec(this.#labelsOf(model));
  }

  #labelsOf({ name }: ServedModel): { readonly model_name: string } {
    return { model_name: this.#known.of(name) };
  }
}
