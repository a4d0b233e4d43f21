import type { Deployment } from '../../protocols/manifest/index.ts';
import { formatBytes } from '../../protocols/byte-size.ts';

/** What a manifest says of its deployment, as names and words for people; undefined where it says nothing. */
export function deploymentFacts(
  deployment: Deployment,
): (readonly [name: string, value: string | undefined])[] {
  const { maxQueued, providers, memoryBytes, targetInFlight } = deployment;
  return [
    ['replicas', bounds(deployment)],
    ['batches', batches(deployment)],
    ['queue', maxQueued === undefined ? undefined : `at most ${maxQueued} on one node`],
    ['runs on', providers?.join(', ')],
    ['session', session(deployment)],
    ['memory', memoryBytes === undefined ? undefined : formatBytes(memoryBytes)],
    [
      'target',
      targetInFlight === undefined ? undefined : `${targetInFlight} in flight per replica`,
    ],
    ['latency', milliseconds('within', deployment.latencyObjectiveMs)],
    ['scales to zero', milliseconds('after', deployment.scaleToZeroDelayMs)],
  ];
}

function bounds({ minReplicas, maxReplicas }: Deployment): string | undefined {
  return joined([
    minReplicas !== undefined && `at least ${minReplicas}`,
    maxReplicas !== undefined && `at most ${maxReplicas}`,
  ]);
}

function batches({ maxBatch, batchDimension, maxBatchDelayMs }: Deployment): string | undefined {
  return joined([
    maxBatch !== undefined && `at most ${maxBatch}`,
    batchDimension !== undefined && `in dimension ${batchDimension}`,
    maxBatchDelayMs !== undefined && `held back for at most ${maxBatchDelayMs} ms`,
  ]);
}

function session({ session = {} }: Deployment): string | undefined {
  const { graphOptimizationLevel, intraOpThreads, memoryPattern } = session;
  return joined([
    graphOptimizationLevel !== undefined && `optimisation ${graphOptimizationLevel}`,
    intraOpThreads !== undefined && `at most ${intraOpThreads} threads`,
    memoryPattern !== undefined && (memoryPattern ? 'memory planned' : 'memory not planned'),
  ]);
}

function milliseconds(word: string, value: number | undefined): string | undefined {
  return value === undefined ? undefined : `${word} ${value} ms`;
}

function joined(parts: readonly (string | false)[]): string | undefined {
  return parts.filter((part) => part !== false).join(', ') || undefined;
}
