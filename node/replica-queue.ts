import { type Manifest, resolveDeployment } from '../protocols/manifest/index.ts';
import type { LoadedModel } from './backend/backend.ts';
import { type BatchFinding, probeBatching } from './scheduler/batch-probe.ts';
import { VersionQueue } from './scheduler/version-queue.ts';

export interface ReplicaQueueInit {
  readonly maxQueued: number;
  readonly executionLimitMs: number;
  /** What was found out by execution provider, which need not be tried again; grows by what is. */
  readonly batches: Map<string, BatchFinding>;
  readonly signal: AbortSignal;
}

/** The line before a model that was just loaded, with its requests in batches as they were found to run best. */
export async function createQueue(
  model: LoadedModel,
  manifest: Manifest,
  { batches, signal, ...init }: ReplicaQueueInit,
): Promise<VersionQueue> {
  const deployment = resolveDeployment(manifest.deployment);
  const { provider } = model;
  const finding = batches.get(provider) ?? (await probeBatching(model, deployment, signal));
  batches.set(provider, finding);
  return new VersionQueue(model, {
    maxQueued: Math.min(init.maxQueued, deployment.maxQueued ?? init.maxQueued),
    executionLimitMs: init.executionLimitMs,
    batching: {
      axis: deployment.batchDimension,
      maxRows: finding.maxRows,
      maxDelayMs: deployment.maxBatchDelayMs,
    },
    timings: finding.timings,
  });
}
