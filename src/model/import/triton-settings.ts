import {
  type Deployment,
  EXECUTION_PROVIDERS,
  type SessionOptions,
} from '../../../protocols/manifest/index.ts';
import type { OnnxGraph } from '../onnx-graph.ts';
import type { PackageSettings } from '../package-file.ts';
import type { ConfigMessage } from './config-message.ts';
import { checkTritonTensors, type LabelReference } from './triton-tensors.ts';

const INT32 = { min: 0, max: 2_147_483_647 };
const INTEGER = { min: 0, max: Number.MAX_SAFE_INTEGER };

/** Triton's numbers for how far a graph is optimised; 0, the default, is all. */
export const TRITON_GRAPH_LEVELS = { basic: -1, extended: 1, disabled: 2 } as const;

/** Upper bounds of our own fields, at which Triton's larger values end. */
const MAX_BATCH = 4_096;
const MAX_BATCH_DELAY_MS = 2;
const MAX_QUEUED = 65_536;
const MAX_THREADS = 512;

const INSTANCE_KINDS = { KIND_AUTO: 0, KIND_GPU: 1, KIND_CPU: 2, KIND_MODEL: 3 } as const;

/** Backends and platforms by which a configuration says ONNX Runtime. */
const BACKENDS: Readonly<Record<'backend' | 'platform', string>> = {
  backend: 'onnxruntime',
  platform: 'onnxruntime_onnx',
};

type Provider = (typeof EXECUTION_PROVIDERS)[number];

/** Providers that a model may run on which must run on a GPU, and does not ask for TensorRT. */
export const GPU_PROVIDERS: readonly Provider[] = EXECUTION_PROVIDERS.filter(
  (provider) => provider !== 'cpu' && provider !== 'tensorrt',
);

/** What a configuration means in a package file. */
export interface TritonSettings {
  readonly settings: PackageSettings;
  readonly labels: readonly LabelReference[];
  /** What has no counterpart here, in sentences. */
  readonly notes: readonly string[];
}

/**
 * Maps a Triton model configuration to our settings. docs/models.md has the table.
 *
 * @throws {ERR_INVALID_MODEL} with line, column and field: no ONNX model, or the graph says otherwise.
 */
export function mapTritonConfig(config: ConfigMessage, graph: OnnxGraph): TritonSettings {
  checkBackend(config);
  const notes: string[] = [];
  const maxBatchSize = config.integer('max_batch_size', INT32) ?? 0;
  const tensors = checkTritonTensors(config, graph, maxBatchSize);
  notes.push(...tensors.notes);
  const session = mapSession(config, notes);
  const deployment = withoutUndefined<Deployment>({
    ...mapBatching(config, maxBatchSize, notes),
    ...mapInstances(config, notes),
    session: Object.keys(session).length === 0 ? undefined : session,
  });
  for (const path of config.unread()) {
    notes.push(`field ${path} has no counterpart here and is left out`);
  }
  return {
    settings:
      Object.keys(deployment).length === 0
        ? {}
        : { deployment: deployment as NonNullable<PackageSettings['deployment']> },
    labels: tensors.labels,
    notes,
  };
}

function checkBackend(config: ConfigMessage): void {
  // Read so that it is told nowhere: a package has no name, and Triton's is its folder's.
  config.text('name');
  for (const field of ['backend', 'platform'] as const) {
    const found = config.text(field) ?? '';
    if (found === '' || found === BACKENDS[field]) continue;
    throw config.fault(field, `expected "${BACKENDS[field]}", found "${found.slice(0, 64)}"`);
  }
}

function mapBatching(config: ConfigMessage, maxBatchSize: number, notes: string[]): Deployment {
  const maxBatch = !config.has('max_batch_size')
    ? undefined
    : bounded('max_batch_size', Math.max(1, maxBatchSize), MAX_BATCH, notes);
  const batching = config.message('dynamic_batching');
  if (batching === undefined) return { maxBatch };
  for (const size of batching.integers('preferred_batch_size', INT32)) {
    if (size >= 1 && size <= maxBatchSize) continue;
    throw batching.fault(
      'preferred_batch_size',
      `expected from 1 to max_batch_size, which is ${maxBatchSize}, found ${size}`,
    );
  }
  if (batching.has('preferred_batch_size')) {
    notes.push('field dynamic_batching.preferred_batch_size is left out: nodes find the best size');
  }
  const delay = 'max_queue_delay_microseconds';
  const delayMs = (batching.integer(delay, INTEGER) ?? 0) / 1000;
  const size = 'max_queue_size';
  const queued = batching.message('default_queue_policy')?.integer(size, INTEGER) ?? 0;
  return {
    maxBatch,
    // Neither 0 says anything: no delay is the default, and Triton's queue is then as long as it gets.
    maxBatchDelayMs:
      delayMs === 0
        ? undefined
        : bounded(`dynamic_batching.${delay}`, delayMs, MAX_BATCH_DELAY_MS, notes, ' ms'),
    maxQueued:
      queued === 0
        ? undefined
        : bounded(`dynamic_batching.default_queue_policy.${size}`, queued, MAX_QUEUED, notes),
  };
}

/** Instances on one host become replicas on several; the kinds of them and accelerators say on what. */
function mapInstances(config: ConfigMessage, notes: string[]): Deployment {
  const kinds = new Set<keyof typeof INSTANCE_KINDS>();
  let count = 0;
  for (const group of config.messages('instance_group')) {
    kinds.add(group.choice('kind', INSTANCE_KINDS) ?? 'KIND_AUTO');
    count += group.integer('count', { min: 0, max: 10_000 }) ?? 1;
  }
  const accelerated = readAccelerators(config, notes);
  const minReplicas = count > 1 ? bounded('instance_group.count', count, 10_000, notes) : undefined;
  if (kinds.has('KIND_AUTO') || kinds.has('KIND_MODEL') || kinds.size !== 1) {
    return { minReplicas, providers: accelerated.length > 0 ? [...accelerated, 'cpu'] : undefined };
  }
  if (kinds.has('KIND_GPU'))
    return { minReplicas, providers: accelerated.length > 0 ? accelerated : [...GPU_PROVIDERS] };
  if (accelerated.length > 0) {
    notes.push('field optimization.execution_accelerators is left out: all instances are KIND_CPU');
  }
  return { minReplicas, providers: ['cpu'] };
}

/** The providers that GPU accelerators ask for; what TensorRT does not take runs on CUDA, as in Triton. */
function readAccelerators(config: ConfigMessage, notes: string[]): Provider[] {
  const all = config.message('optimization')?.message('execution_accelerators');
  const names = new Set<string>();
  for (const accelerator of all?.messages('gpu_execution_accelerator') ?? []) {
    const name = accelerator.text('name') ?? '';
    if (name === 'cuda' || name === 'tensorrt') names.add(name);
    else notes.push(`accelerator "${name.slice(0, 64)}" is not among our execution providers`);
  }
  if (names.size === 0) return [];
  return names.has('tensorrt') ? ['tensorrt', 'cuda'] : ['cuda'];
}

function mapSession(config: ConfigMessage, notes: string[]): SessionOptions {
  const bounds = { min: -2_147_483_648, max: 2_147_483_647 };
  const level = config.message('optimization')?.message('graph')?.integer('level', bounds) ?? 0;
  const names = Object.keys(TRITON_GRAPH_LEVELS) as (keyof typeof TRITON_GRAPH_LEVELS)[];
  const graphOptimizationLevel = names.find((name) => TRITON_GRAPH_LEVELS[name] === level);
  if (level !== 0 && graphOptimizationLevel === undefined) {
    notes.push(`field optimization.graph.level ${level} is left out: expected -1, 1 or 2`);
  }
  let intraOpThreads: number | undefined;
  let memoryPattern: boolean | undefined;
  for (const parameter of config.messages('parameters')) {
    const key = parameter.text('key') ?? '';
    const value = parameter.message('value')?.text('string_value') ?? '';
    const threads = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
    if (key === 'intra_op_thread_count' && threads > 0) {
      intraOpThreads = bounded(`parameter ${key}`, threads, MAX_THREADS, notes);
    } else if (key === 'enable_mem_pattern' && (value === '0' || value === '1')) {
      memoryPattern = value === '1';
    } else {
      const shown = JSON.stringify(key.slice(0, 64));
      notes.push(`parameter ${shown} has no counterpart here and is left out`);
    }
  }
  return withoutUndefined({ graphOptimizationLevel, intraOpThreads, memoryPattern });
}

function bounded(field: string, value: number, max: number, notes: string[], unit = ''): number {
  if (value <= max) return value;
  notes.push(`field ${field}: ${value}${unit} is more than ${max}${unit}, which is taken instead`);
  return max;
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}
