import type { SimVersionSpec } from './swarm-scenario.ts';

export interface ClairvoyantInit {
  readonly version: SimVersionSpec;
  readonly durationMs: number;
  /** Share of a usual replica that is meant to be used, the same as the plan's. */
  readonly targetUtilisation: number;
  /** Milliseconds that a replica takes from its claim to its first answer. */
  readonly leadMs: number;
}

/**
 * Milliseconds that replicas would be in memory with one who knows the trace ahead: at every moment as many usual replicas as the
 * demand of that moment needs at the same utilisation, loaded just in time, in memory while they load, and gone at once when
 * they are not needed. Nothing refused, nothing measured, nothing delayed.
 */
export function clairvoyantReplicaMs(init: ClairvoyantInit): number {
  const { version, durationMs, leadMs } = init;
  const { minReplicas, maxReplicas } = version.deployment;
  const perS = (1_000 * init.targetUtilisation) / version.serviceMs;
  const need = (atMs: number): number => {
    return Math.min(maxReplicas, Math.max(minReplicas, Math.ceil(version.trace(atMs) / perS)));
  };
  let replicaMs = 0;
  for (let atMs = 0; atMs < durationMs; atMs += 1_000) {
    // What is needed at any moment until a load begun now would be over is in memory now.
    let most = 0;
    for (let ahead = atMs; ahead <= atMs + leadMs; ahead += 1_000)
      most = Math.max(most, need(ahead));
    replicaMs += 1_000 * most;
  }
  return replicaMs;
}
