import { describe, expect, it } from 'vitest';
import { deploymentFacts } from '../../../../src/cli/deployment-facts.ts';

const told = (deployment: Parameters<typeof deploymentFacts>[0]) =>
  deploymentFacts(deployment).filter(([, value]) => value !== undefined);

describe('deploymentFacts', () => {
  it('tells nothing of what is not said', () => {
    expect(told({})).toEqual([]);
    expect(told({ session: {} })).toEqual([]);
  });

  it('tells all that is said', () => {
    expect(
      told({
        minReplicas: 0,
        maxReplicas: 3,
        maxBatch: 32,
        batchDimension: 1,
        maxBatchDelayMs: 0.5,
        maxQueued: 8,
        providers: ['cuda', 'cpu'],
        session: { graphOptimizationLevel: 'basic', intraOpThreads: 2, memoryPattern: false },
        memoryBytes: 1024 ** 3,
        targetInFlight: 2,
        latencyObjectiveMs: 50,
        scaleToZeroDelayMs: 1_000,
      }),
    ).toEqual([
      ['replicas', 'at least 0, at most 3'],
      ['batches', 'at most 32, in dimension 1, held back for at most 0.5 ms'],
      ['queue', 'at most 8 on one node'],
      ['runs on', 'cuda, cpu'],
      ['session', 'optimisation basic, at most 2 threads, memory not planned'],
      ['memory', '1.0 GiB'],
      ['target', '2 in flight per replica'],
      ['latency', 'within 50 ms'],
      ['scales to zero', 'after 1000 ms'],
    ]);
  });
});
