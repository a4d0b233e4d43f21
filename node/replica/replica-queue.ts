import { type Manifest, resolveDeployment } from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { LoadedModel } from '../backend/backend.ts';
import { type BatchFinding, probeBatching } from '../scheduler/batch-probe.ts';
import { VersionQueue } from '../scheduler/version-queue.ts';
import type { VersionExperience } from './version-experience.ts';

/** A version that was just loaded. */
export interface QueuedVersion {
  readonly cid: VersionCid;
  readonly manifest: Manifest;
  readonly model: LoadedModel;
  /** What it runs on, as {@link VersionInMemory.device}. */
  readonly device: string;
  /** How its requests were just found to run together; undefined where that was not tried. */
  readonly batches: BatchFinding | undefined;
}

export interface ReplicaQueueInit {
  readonly maxQueued: number;
  readonly executionLimitMs: number;
  /** What was found out before need not be tried again; grows by what is. */
  readonly experience: VersionExperience;
  readonly signal: AbortSignal;
}

/** The line before a model that was just loaded, with its requests in batches as they were found to run best. */
export async function createQueue(
  version: QueuedVersion,
  { experience, signal, ...init }: ReplicaQueueInit,
): Promise<{ readonly queue: VersionQueue; readonly batches: BatchFinding }> {
  const { cid, device, manifest, model } = version;
  const deployment = resolveDeployment(manifest.deployment);
  let batches = version.batches ?? experience.batches.get(cid, device, Date.now());
  if (batches === undefined) {
    batches = await probeBatching(model, deployment, signal);
    // What was broken off says nothing.
    if (!signal.aborted) experience.batches.add(cid, device, batches, Date.now());
  }
  const queue = new VersionQueue(model, {
    maxQueued: Math.min(init.maxQueued, deployment.maxQueued ?? init.maxQueued),
    executionLimitMs: init.executionLimitMs,
    batching: {
      axis: deployment.batchDimension,
      maxRows: batches.maxRows,
      maxDelayMs: deployment.maxBatchDelayMs,
    },
    timings: batches.timings,
    deadly: experience.deadlyInputs(cid),
  });
  return { queue, batches };
}
