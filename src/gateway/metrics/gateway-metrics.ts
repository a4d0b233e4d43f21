import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { ConfigError } from '../../../protocols/errors.ts';
import { quoted } from '../../../protocols/quoted.ts';
import { registerFleetGauges } from '../../fleet/fleet-metrics.ts';
import type { FleetOrder } from '../../fleet/fleet-sizer.ts';
import type { ServedModel } from '../models/model-directory.ts';
import type { FailureKind } from '../refusal.ts';
import type { AnsweredRequest, ApiProtocol } from '../request-outcome.ts';
import { BoundedLabels } from '../../swarm/bounded-labels.ts';
import type { MetricsListener } from './metrics-listener.ts';
import { TritonMetrics } from './triton-metrics.ts';
import { VllmMetrics } from './vllm-metrics.ts';

/** Models that have a label of their own; requests to further ones are counted under `other`. */
const MAX_LABELLED_MODELS = 512;

/** Under whose names too the metrics can be had. */
const ALIASES = { triton: TritonMetrics, vllm: VllmMetrics };

export type MetricsCompat = keyof typeof ALIASES;

/** @throws {ERR_CONFIG} when a name is none of {@link MetricsCompat}. */
export function parseMetricsCompat(names: readonly string[]): readonly MetricsCompat[] {
  const unknown = names.find((name) => !Object.hasOwn(ALIASES, name));
  if (unknown === undefined) return [...new Set(names as MetricsCompat[])];
  throw new ConfigError(
    `--metrics-compat has ${quoted(unknown)}, expected ${Object.keys(ALIASES).join(' or ')}`,
  );
}

/** Seconds: from a tiny model on loopback to the longest deadline by default. */
const LATENCY_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** What is looked at when Prometheus asks. */
export interface GatewayState {
  readonly ready: () => boolean;
  readonly draining: () => boolean;
  readonly cacheBytes: () => number;
  /** Undefined while nobody can say. */
  readonly fleet: () => FleetOrder | undefined;
}

/**
 * The gateway's metrics for Prometheus. No label holds what a caller made up: models are those that were found, and at most so many;
 * nodes, of which there may be thousands, are no label at all.
 *
 * @see https://prometheus.io/docs/practices/naming/
 */
export class GatewayMetrics {
  readonly #registry = new Registry();
  readonly #models = new BoundedLabels(MAX_LABELLED_MODELS);
  readonly #aliases: readonly MetricsListener[];
  readonly #requests: Counter<'protocol' | 'model' | 'outcome'>;
  readonly #latency: Histogram<'protocol' | 'model'>;
  readonly #queue: Histogram<'model'>;
  readonly #execute: Histogram<'model'>;
  readonly #network: Histogram<'model'>;
  readonly #bytes: Counter<'direction'>;
  readonly #attempts: Counter<'model'>;
  readonly #lookups: Counter<'model' | 'outcome'>;
  readonly #inFlight: Gauge;

  constructor(state: GatewayState, compat: readonly MetricsCompat[] = []) {
    const registers = [this.#registry];
    this.#aliases = compat.map((name) => new ALIASES[name](this.#registry));
    const histogram = <L extends string>(name: string, help: string, labelNames: L[]) =>
      new Histogram({ name, help, labelNames, buckets: LATENCY_BUCKETS, registers });
    this.#requests = new Counter({
      name: 'swarm_gateway_requests_total',
      help: 'Inference requests that ended, by how; model is empty where none was found.',
      labelNames: ['protocol', 'model', 'outcome'],
      registers,
    });
    this.#latency = histogram(
      'swarm_gateway_request_duration_seconds',
      'From the request to its answer, of requests that were answered.',
      ['protocol', 'model'],
    );
    this.#queue = histogram('swarm_gateway_node_queue_seconds', 'In the queue of the node.', [
      'model',
    ]);
    this.#execute = histogram('swarm_gateway_node_execute_seconds', 'In the model, on the node.', [
      'model',
    ]);
    this.#network = histogram(
      'swarm_gateway_network_seconds',
      'The rest: routing, other attempts, the network, reading and writing.',
      ['model'],
    );
    this.#bytes = new Counter({
      name: 'swarm_gateway_tensor_bytes_total',
      help: 'Bytes of tensors from callers to nodes (in) and back (out), of requests that were answered.',
      labelNames: ['direction'],
      registers,
    });
    this.#attempts = new Counter({
      name: 'swarm_gateway_failed_attempts_total',
      help: 'Nodes that were asked and did not answer, of requests that another one answered.',
      labelNames: ['model'],
      registers,
    });
    this.#lookups = new Counter({
      name: 'swarm_gateway_cache_lookups_total',
      help: 'Requests to models whose answers are kept, by whether theirs was.',
      labelNames: ['model', 'outcome'],
      registers,
    });
    this.#inFlight = new Gauge({
      name: 'swarm_gateway_requests_in_flight',
      help: 'Inference requests that have not ended.',
      registers,
    });
    for (const [name, help, value] of [
      ['swarm_gateway_ready', '1 when it should be sent requests.', state.ready],
      ['swarm_gateway_draining', '1 from the moment it was told to end.', state.draining],
      ['swarm_gateway_cache_bytes', 'Bytes of answers that are kept.', state.cacheBytes],
    ] as const) {
      const gauge: Gauge = new Gauge({
        name,
        help,
        registers,
        collect: () => gauge.set(Number(value())),
      });
    }
    registerFleetGauges(this.#registry, state.fleet);
    collectDefaultMetrics({ register: this.#registry });
  }

  begin(): void {
    this.#inFlight.inc();
  }

  /** Its model was found. */
  began(model: ServedModel): void {
    for (const alias of this.#aliases) alias.began(model);
  }

  answered(model: ServedModel, request: AnsweredRequest): void {
    const { protocol, latencyMs, node } = request;
    for (const alias of this.#aliases) alias.answered(model, request);
    const label = this.#models.of(model.name);
    this.#inFlight.dec();
    this.#requests.inc({ protocol, model: label, outcome: 'answered' });
    this.#latency.observe({ protocol, model: label }, latencyMs / 1000);
    this.#bytes.inc({ direction: 'in' }, request.requestBytes);
    this.#bytes.inc({ direction: 'out' }, request.responseBytes);
    if (request.cacheMs !== undefined) {
      this.#lookups.inc({ model: label, outcome: node === undefined ? 'hit' : 'miss' });
    }
    if (node === undefined) return;
    const { queueMs, executeMs, failedAttempts } = node;
    this.#queue.observe({ model: label }, queueMs / 1000);
    this.#execute.observe({ model: label }, executeMs / 1000);
    // Clocks of two machines: what they add up to may be a little more than what was waited for.
    this.#network.observe({ model: label }, Math.max(0, latencyMs - queueMs - executeMs) / 1000);
    if (failedAttempts > 0) this.#attempts.inc({ model: label }, failedAttempts);
  }

  /** `model` is undefined where none was found by the caller's name. */
  failed(protocol: ApiProtocol, model: ServedModel | undefined, outcome: FailureKind): void {
    this.#inFlight.dec();
    if (model !== undefined) for (const alias of this.#aliases) alias.failed(model, outcome);
    const label = model === undefined ? '' : this.#models.of(model.name);
    this.#requests.inc({ protocol, model: label, outcome });
  }

  /** All of them as Prometheus reads them, and the type to send it as. */
  async text(): Promise<{ readonly type: string; readonly text: string }> {
    return { type: this.#registry.contentType, text: await this.#registry.metrics() };
  }
}
