import { z } from 'zod';

/** Replicas a version has when its manifest does not say: one death must not take a model away. */
export const DEFAULT_MIN_REPLICAS = 2;

/** Replicas a version grows to when its manifest does not say. */
export const DEFAULT_MAX_REPLICAS = 16;

/** Upper bound of both: beyond it a typing error is likelier than a wish. */
const MAX_REPLICAS = 10_000;

/** How the publisher wants a version deployed; what is absent takes its default. */
export interface Deployment {
  /** Replicas the swarm keeps while nobody asks; 0 lets it scale to zero. @default 2 */
  readonly minReplicas?: number | undefined;
  /** Replicas the swarm grows to at most, at least `minReplicas`. @default 16, or `minReplicas` when that is more */
  readonly maxReplicas?: number | undefined;
}

export interface ResolvedDeployment {
  readonly minReplicas: number;
  readonly maxReplicas: number;
}

/** The fields as the package file and the manifest both have them. */
export const deploymentShape = {
  minReplicas: z.int().min(0).max(MAX_REPLICAS).optional(),
  maxReplicas: z.int().min(1).max(MAX_REPLICAS).optional(),
};

/** Fills the defaults in; a lone `maxReplicas` below the default minimum lowers that minimum. */
export function resolveDeployment(deployment: Deployment): ResolvedDeployment {
  const { minReplicas, maxReplicas } = deployment;
  const min = minReplicas ?? Math.min(DEFAULT_MIN_REPLICAS, maxReplicas ?? DEFAULT_MIN_REPLICAS);
  return { minReplicas: min, maxReplicas: maxReplicas ?? Math.max(min, DEFAULT_MAX_REPLICAS) };
}

/** True when the two bounds do not contradict each other. */
export function isDeploymentConsistent(deployment: Deployment): boolean {
  const { minReplicas, maxReplicas } = resolveDeployment(deployment);
  return minReplicas <= maxReplicas;
}
