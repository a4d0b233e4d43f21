import { z } from 'zod';
import { MAX_PROVIDERS, MAX_REPLICAS, providerField } from '../record-fields.ts';
import { type SessionOptions, sessionShape } from './session-options.ts';

/** Replicas a version has when its manifest does not say: one death must not take a model away. */
export const DEFAULT_MIN_REPLICAS = 2;

/** Replicas a version grows to when its manifest does not say. */
export const DEFAULT_MAX_REPLICAS = 16;

/** Requests in flight per replica that scaling aims at: one that runs, and enough behind it to be the next batch. */
export const DEFAULT_TARGET_IN_FLIGHT = 4;

/** Milliseconds without a request after which a version that may scale to zero does. */
export const DEFAULT_SCALE_TO_ZERO_DELAY_MS = 600_000;

/** Execution providers that nodes try, by ONNX Runtime's names for Node. */
export const EXECUTION_PROVIDERS = ['cuda', 'tensorrt', 'dml', 'coreml', 'webgpu', 'cpu'] as const;

/** Rows of one batch. */
const MAX_BATCH = 4_096;

/** Longer than this no delay has ever paid off: what waits in the queue anyway makes the batches. */
const MAX_BATCH_DELAY_MS = 2;

const MAX_QUEUED = 65_536;
const DAY_MS = 86_400_000;

/** How the publisher wants a version deployed; what is absent takes its default. */
export interface Deployment {
  /** Replicas the swarm keeps while nobody asks; 0 lets it scale to zero. @default 2 */
  readonly minReplicas?: number | undefined;
  /** Replicas the swarm grows to at most, at least `minReplicas`. @default 16, or `minReplicas` when that is more */
  readonly maxReplicas?: number | undefined;
  /** Rows that may run as one batch; 1 turns batching off. @default what each node finds best by trying */
  readonly maxBatch?: number | undefined;
  /** The dimension, of every input and output, that counts the rows of a batch. @default 0 */
  readonly batchDimension?: number | undefined;
  /** Milliseconds a request may be held back so that others join its batch, 0 to 2. @default 0 */
  readonly maxBatchDelayMs?: number | undefined;
  /** Requests that may wait on one node, besides those that run; a node takes its own bound when that is less. @default the node's own */
  readonly maxQueued?: number | undefined;
  /** Execution providers that may run it, the best first. @default all that work on a node, in the node's order */
  readonly providers?: readonly string[] | undefined;
  /** How its sessions are made. */
  readonly session?: SessionOptions | undefined;
  /** Bytes of memory one replica takes; nodes with less in all refuse it. @default 1.35 times the bytes of its files, an estimate that nobody is refused by */
  readonly memoryBytes?: number | undefined;
  /** Requests in flight per replica that scaling aims at. @default 4 */
  readonly targetInFlight?: number | undefined;
  /** Milliseconds in which a request should be answered. @default none */
  readonly latencyObjectiveMs?: number | undefined;
  /** Milliseconds without a request after which a version with `minReplicas` 0 leaves its last node. @default 600000 */
  readonly scaleToZeroDelayMs?: number | undefined;
}

/** {@link Deployment} with its defaults; null where the node decides. */
export interface ResolvedDeployment {
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly maxBatch: number | null;
  readonly batchDimension: number;
  readonly maxBatchDelayMs: number;
  readonly maxQueued: number | null;
  readonly providers: readonly string[] | null;
  readonly session: SessionOptions;
  readonly memoryBytes: number | null;
  readonly targetInFlight: number;
  readonly latencyObjectiveMs: number | null;
  readonly scaleToZeroDelayMs: number;
}

const numbers = {
  minReplicas: z
    .int()
    .min(0)
    .max(MAX_REPLICAS)
    .describe('Replicas kept while nobody asks; 0 lets it scale to zero. Default: 2.')
    .optional(),
  maxReplicas: z
    .int()
    .min(1)
    .max(MAX_REPLICAS)
    .describe('Replicas grown to at most. Default: 16, or minReplicas when that is more.')
    .optional(),
  maxBatch: z
    .int()
    .min(1)
    .max(MAX_BATCH)
    .describe('Rows that may run as one batch; 1 turns batching off. Default: found by each node.')
    .optional(),
  batchDimension: z
    .int()
    .min(0)
    .max(31)
    .describe('Dimension of every input and output that counts the rows. Default: 0.')
    .optional(),
  maxBatchDelayMs: z
    .number()
    .min(0)
    .max(MAX_BATCH_DELAY_MS)
    .describe('Milliseconds a request may be held back for its batch. Default: 0.')
    .optional(),
  maxQueued: z
    .int()
    .min(1)
    .max(MAX_QUEUED)
    .describe("Requests that may wait on one node. Default, and at most: the node's own bound.")
    .optional(),
  memoryBytes: z
    .int()
    .min(1)
    .describe('Bytes of memory one replica takes; nodes with less in all refuse it.')
    .optional(),
  targetInFlight: z
    .int()
    .min(1)
    .max(MAX_QUEUED)
    .describe('Requests in flight per replica that scaling aims at. Default: 4.')
    .optional(),
  latencyObjectiveMs: z
    .int()
    .min(1)
    .max(3_600_000)
    .describe('Milliseconds in which a request should be answered. Default: none.')
    .optional(),
  scaleToZeroDelayMs: z
    .int()
    .min(1_000)
    .max(30 * DAY_MS)
    .describe('Milliseconds without a request before it scales to zero. Default: 600000.')
    .optional(),
};

/** A list without an entry twice. */
const providersOf = <T extends z.ZodType<string>>(provider: T) =>
  z
    .array(provider)
    .min(1)
    .max(MAX_PROVIDERS)
    .refine((names) => new Set(names).size === names.length, {
      message: 'expected each execution provider once',
    })
    .describe('Execution providers that may run it, the best first. Default: what a node has.')
    .optional();

/** As a manifest has it: keys of a later program are ignored, and so are providers that a node does not know. */
export const deploymentSchema = z.object({
  ...numbers,
  providers: providersOf(providerField),
  session: z.object(sessionShape).optional(),
});

/** As a package file has it: an unknown key is an error. */
export const strictDeploymentSchema = z.strictObject({
  ...numbers,
  providers: providersOf(z.enum(EXECUTION_PROVIDERS)),
  session: z.strictObject(sessionShape).optional(),
});

/** Fills the defaults in; a lone `maxReplicas` below the default minimum lowers that minimum. */
export function resolveDeployment(deployment: Deployment): ResolvedDeployment {
  const { minReplicas, maxReplicas } = deployment;
  const min = minReplicas ?? Math.min(DEFAULT_MIN_REPLICAS, maxReplicas ?? DEFAULT_MIN_REPLICAS);
  return {
    minReplicas: min,
    maxReplicas: maxReplicas ?? Math.max(min, DEFAULT_MAX_REPLICAS),
    maxBatch: deployment.maxBatch ?? null,
    batchDimension: deployment.batchDimension ?? 0,
    maxBatchDelayMs: deployment.maxBatchDelayMs ?? 0,
    maxQueued: deployment.maxQueued ?? null,
    providers: deployment.providers ?? null,
    session: deployment.session ?? {},
    memoryBytes: deployment.memoryBytes ?? null,
    targetInFlight: deployment.targetInFlight ?? DEFAULT_TARGET_IN_FLIGHT,
    latencyObjectiveMs: deployment.latencyObjectiveMs ?? null,
    scaleToZeroDelayMs: deployment.scaleToZeroDelayMs ?? DEFAULT_SCALE_TO_ZERO_DELAY_MS,
  };
}

/** True when the two bounds do not contradict each other. */
export function isDeploymentConsistent(deployment: Deployment): boolean {
  const { minReplicas, maxReplicas } = resolveDeployment(deployment);
  return minReplicas <= maxReplicas;
}
