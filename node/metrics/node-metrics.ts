import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { ReplicaState } from '../../protocols/capacity/index.ts';
import type { LoadReport } from '../../protocols/types.ts';
import { BoundedLabels } from '../../src/swarm/bounded-labels.ts';
import type { MetricsText } from '../../src/swarm/metrics-server.ts';
import type { MemoryStatus } from '../replica/memory-ledger.ts';
import type { ReplicaOrigin } from '../replica/replica.ts';
import type { PlannedVersion } from '../scaler/scaler.ts';
import { failureOf } from './request-failure.ts';
import type { RequestListener } from './request-listener.ts';

/** Versions that have labels of their own; further ones are counted together. */
const MAX_LABELLED_VERSIONS = 512;

/** Seconds: from a tiny model to the longest run by default. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** States in which a node holds a version. */
const HELD_STATES: readonly ReplicaState[] = ['ready', 'loading', 'cold', 'quarantined'];

/** A version that the node holds. */
export interface HeldVersion {
  readonly origin: ReplicaOrigin;
  readonly state: ReplicaState;
  /** Undefined while it is not in memory. */
  readonly queue: { load(): Pick<LoadReport, 'inFlight' | 'queued'> } | undefined;
}

/** What is looked at when Prometheus asks. */
export interface NodeState {
  readonly replicas: () => readonly HeldVersion[];
  readonly memory: () => readonly MemoryStatus[];
  /** Empty where the node holds only what publishers place. */
  readonly plan: () => readonly PlannedVersion[];
}

/** `publisher/name` and the version's CID; `other` and '' past the bound, '' and '' of what is not held here. */
interface VersionLabels {
  readonly model: string;
  readonly version: string;
}

const LABEL_NAMES = ['model', 'version'] as const;

/**
 * A node's metrics for Prometheus. No label holds what a caller made up: versions are those that the node holds or plans for, at most so
 * many; callers and other nodes are no label at all.
 *
 * @see https://prometheus.io/docs/practices/naming/
 */
export class NodeMetrics implements MetricsText, RequestListener {
  readonly #registry = new Registry();
  readonly #known = new BoundedLabels(MAX_LABELLED_VERSIONS);
  readonly #requests: Counter<'model' | 'version' | 'outcome'>;
  readonly #queue: Histogram<'model' | 'version'>;
  readonly #execute: Histogram<'model' | 'version'>;

  constructor(state: NodeState) {
    const registers = [this.#registry];
    this.#requests = new Counter({
      name: 'swarm_node_requests_total',
      help: 'Inference requests that ended, by how; model is empty where this node does not hold what was asked for.',
      labelNames: [...LABEL_NAMES, 'outcome'],
      registers,
    });
    this.#queue = new Histogram({
      name: 'swarm_node_queue_seconds',
      help: 'Waited before the run, of requests that were answered.',
      ...{ labelNames: LABEL_NAMES, buckets: BUCKETS, registers },
    });
    this.#execute = new Histogram({
      name: 'swarm_node_execute_seconds',
      help: 'Of the run that a request was in, of requests that were answered.',
      ...{ labelNames: LABEL_NAMES, buckets: BUCKETS, registers },
    });
    this.#watchReplicas(state.replicas);
    this.#watchMemory(state.memory);
    this.#watchPlan(state.plan);
    collectDefaultMetrics({ register: this.#registry });
  }

  answered(
    origin: ReplicaOrigin,
    { queueMs, executeMs }: { readonly queueMs: number; readonly executeMs: number },
  ): void {
    const labels = labelsOf(origin, this.#known);
    this.#requests.inc({ ...labels, outcome: 'answered' });
    this.#queue.observe(labels, queueMs / 1000);
    this.#execute.observe(labels, executeMs / 1000);
  }

  failed(origin: ReplicaOrigin | undefined, error: unknown): void {
    const labels = origin === undefined ? NOT_HELD : labelsOf(origin, this.#known);
    this.#requests.inc({ ...labels, outcome: failureOf(error) });
  }

  cancelled(origin: ReplicaOrigin): void {
    this.#requests.inc({ ...labelsOf(origin, this.#known), outcome: 'cancelled' });
  }

  /** All of them as Prometheus reads them, and the type to send it as. */
  async text(): Promise<{ readonly type: string; readonly text: string }> {
    return { type: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  #watchReplicas(replicas: NodeState['replicas']): void {
    this.#gauge('swarm_node_replicas', 'Versions that the node holds, by their state.', [
      ['state'],
      (add) => {
        const held = replicas();
        for (const state of HELD_STATES) {
          add({ state }, held.filter((replica) => replica.state === state).length);
        }
      },
    ]);
    for (const [name, help, field] of [
      ['swarm_node_requests_in_flight', 'Requests that run, of versions in memory.', 'inFlight'],
      [
        'swarm_node_requests_queued',
        'Requests that wait for their run, of versions in memory.',
        'queued',
      ],
    ] as const) {
      this.#gauge(name, help, [
        LABEL_NAMES,
        (add) => {
          for (const { origin, queue } of replicas()) {
            if (queue !== undefined) add({ ...labelsOf(origin, this.#known) }, queue.load()[field]);
          }
        },
      ]);
    }
  }

  #watchMemory(memory: NodeState['memory']): void {
    for (const [name, help, field] of [
      ['swarm_node_memory_used_bytes', 'Taken or reserved by models.', 'usedBytes'],
      ['swarm_node_memory_limit_bytes', 'That models may take together.', 'totalBytes'],
    ] as const) {
      this.#gauge(name, help, [
        ['pool'],
        (add) => {
          for (const status of memory()) {
            const bytes = status[field];
            // No number says more than a wrong one.
            if (bytes !== null) add({ pool: status.pool }, bytes);
          }
        },
      ]);
    }
  }

  #watchPlan(plan: NodeState['plan']): void {
    for (const [name, help, field] of [
      ['swarm_replicas_desired', 'Replicas that demand asks for in the swarm.', 'desired'],
      ['swarm_replicas_have', 'Replicas in the swarm that are ready or loading.', 'have'],
    ] as const) {
      this.#gauge(name, help, [
        LABEL_NAMES,
        (add) => {
          const known = new BoundedLabels(MAX_LABELLED_VERSIONS);
          for (const version of plan()) add({ ...labelsOf(version, known) }, version[field]);
        },
      ]);
    }
    this.#gauge('swarm_replicas_unplaceable', 'Replicas wanted that no known node can hold.', [
      [...LABEL_NAMES, 'reason'],
      (add) => {
        const known = new BoundedLabels(MAX_LABELLED_VERSIONS);
        for (const version of plan()) {
          const labels = labelsOf(version, known);
          if (version.unplaceable === null) continue;
          const { count, hindrance } = version.unplaceable;
          add({ ...labels, reason: hindrance.replace(' ', '-') }, count);
        }
      },
    ]);
  }

  /** A gauge that is made anew each time it is asked for: what is gone shows no more, and what shares its labels is added up. */
  #gauge<L extends string>(
    name: string,
    help: string,
    [labelNames, read]: readonly [
      readonly L[],
      (add: (labels: Record<L, string>, value: number) => void) => void,
    ],
  ): void {
    const gauge: Gauge<L> = new Gauge<L>({
      ...{ name, help, labelNames, registers: [this.#registry] },
      collect: () => {
        gauge.reset();
        read((labels, value) => gauge.inc(labels, value));
      },
    });
  }
}

const NOT_HELD: VersionLabels = { model: '', version: '' };

function labelsOf(
  { publisher, name, cid }: Pick<ReplicaOrigin, 'publisher' | 'name' | 'cid'>,
  known: BoundedLabels,
): VersionLabels {
  if (known.of(cid) === 'other') return { model: 'other', version: '' };
  return { model: `${publisher}/${name}`, version: cid };
}
