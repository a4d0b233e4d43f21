import { describe, expect, it } from 'vitest';
import {
  DEFAULT_MAX_REPLICAS,
  DEFAULT_MIN_REPLICAS,
  isDeploymentConsistent,
  resolveDeployment,
} from '../../../../protocols/manifest/index.ts';

describe('resolveDeployment', () => {
  it('keeps two replicas and grows to sixteen when nothing is said', () => {
    expect([DEFAULT_MIN_REPLICAS, DEFAULT_MAX_REPLICAS]).toEqual([2, 16]);
    expect(resolveDeployment({})).toEqual({ minReplicas: 2, maxReplicas: 16 });
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
    expect(resolveDeployment(deployment)).toEqual(resolved);
    expect(isDeploymentConsistent(deployment)).toBe(true);
  });
});

describe('isDeploymentConsistent', () => {
  it('is false when the maximum is below the minimum', () => {
    expect(isDeploymentConsistent({ minReplicas: 2, maxReplicas: 1 })).toBe(false);
  });
});
