import { describe, expect, it } from 'vitest';
import { deploymentSchema } from '../../../../protocols/manifest/deployment.ts';
import {
  DEFAULT_MAX_REPLICAS,
  DEFAULT_MIN_REPLICAS,
  DEFAULT_SCALE_TO_ZERO_DELAY_MS,
  DEFAULT_TARGET_IN_FLIGHT,
  isDeploymentConsistent,
  resolveDeployment,
  strictDeploymentSchema,
} from '../../../../protocols/manifest/index.ts';

const UNSAID = {
  minReplicas: 2,
  maxReplicas: 16,
  maxBatch: null,
  batchDimension: 0,
  maxBatchDelayMs: 0,
  maxQueued: null,
  providers: null,
  session: {},
  memoryBytes: null,
  targetInFlight: 4,
  latencyObjectiveMs: null,
  scaleToZeroDelayMs: 600_000,
};

describe('resolveDeployment', () => {
  it('fills in the defaults that the page tells when nothing is said', () => {
    expect([
      DEFAULT_MIN_REPLICAS,
      DEFAULT_MAX_REPLICAS,
      DEFAULT_TARGET_IN_FLIGHT,
      DEFAULT_SCALE_TO_ZERO_DELAY_MS,
    ]).toEqual([2, 16, 4, 600_000]);
    expect(resolveDeployment({})).toEqual(UNSAID);
  });

  it('keeps what is said', () => {
    const said = {
      minReplicas: 0,
      maxReplicas: 3,
      maxBatch: 32,
      batchDimension: 1,
      maxBatchDelayMs: 0.5,
      maxQueued: 8,
      providers: ['cuda', 'cpu'],
      session: { graphOptimizationLevel: 'basic', intraOpThreads: 2, memoryPattern: false },
      memoryBytes: 1e9,
      targetInFlight: 2,
      latencyObjectiveMs: 50,
      scaleToZeroDelayMs: 1_000,
    } as const;
    expect(resolveDeployment(said)).toEqual(said);
  });

  it.each([
    [{ minReplicas: 0 }, { minReplicas: 0, maxReplicas: 16 }],
    [{ minReplicas: 40 }, { minReplicas: 40, maxReplicas: 40 }],
    [{ maxReplicas: 1 }, { minReplicas: 1, maxReplicas: 1 }],
    [{ maxReplicas: 99 }, { minReplicas: 2, maxReplicas: 99 }],
    [
      { minReplicas: 3, maxReplicas: 5 },
      { minReplicas: 3, maxReplicas: 5 },
    ],
  ])('fills %j in', (deployment, resolved) => {
    expect(resolveDeployment(deployment)).toEqual({ ...UNSAID, ...resolved });
    expect(isDeploymentConsistent(deployment)).toBe(true);
  });
});

describe('isDeploymentConsistent', () => {
  it('is false when the maximum is below the minimum', () => {
    expect(isDeploymentConsistent({ minReplicas: 2, maxReplicas: 1 })).toBe(false);
  });
});

describe('strictDeploymentSchema', () => {
  it.each<[field: string, least: number, most: number, step: number]>([
    ['minReplicas', 0, 10_000, 1],
    ['maxReplicas', 1, 10_000, 1],
    ['maxBatch', 1, 4_096, 1],
    ['batchDimension', 0, 31, 1],
    ['maxBatchDelayMs', 0, 2, 0.01],
    ['maxQueued', 1, 65_536, 1],
    ['memoryBytes', 1, Number.MAX_SAFE_INTEGER, 1],
    ['targetInFlight', 1, 65_536, 1],
    ['latencyObjectiveMs', 1, 3_600_000, 1],
    ['scaleToZeroDelayMs', 1_000, 2_592_000_000, 1],
  ])('takes %s from %d to %d, and nothing beyond', (field, least, most, step) => {
    for (const schema of [strictDeploymentSchema, deploymentSchema]) {
      const takes = (value: number) => schema.safeParse({ [field]: value }).success;
      expect([takes(least), takes(most)]).toEqual([true, true]);
      expect([takes(least - step), takes(most + step)]).toEqual([false, false]);
    }
  });

  it.each([
    [{ providers: [] }],
    [{ providers: ['cuda', 'cuda'] }],
    [{ providers: ['tpu'] }],
    [{ session: { extra: { session: { intra_op: {} } } } }],
    [{ session: { executionProviders: ['cpu'] } }],
    [{ session: { optimizedModelFilePath: '/tmp/x' } }],
    [{ session: { intraOpThreads: 513 } }],
    [{ session: { graphOptimizationLevel: 'most' } }],
    [{ maxBatchsize: 1 }],
  ])('refuses %j', (deployment) => {
    expect(strictDeploymentSchema.safeParse(deployment).success).toBe(false);
  });
});

describe('deploymentSchema', () => {
  it('leaves out what a later program added, and keeps providers that nobody here knows', () => {
    const later = {
      maxBatch: 4,
      shards: 2,
      providers: ['tpu'],
      session: { extra: {}, memoryPattern: true },
    };
    expect(deploymentSchema.parse(later)).toEqual({
      maxBatch: 4,
      providers: ['tpu'],
      session: { memoryPattern: true },
    });
  });

  it.each(['', 'CUDA', '../x', 'a'.repeat(33)])('refuses the provider %j', (provider) => {
    expect(deploymentSchema.safeParse({ providers: [provider] }).success).toBe(false);
  });
});
