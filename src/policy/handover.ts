import type { VersionCid } from '../../protocols/types.ts';

/** Milliseconds that others have to take over, with what is in flight well within the half minute that Kubernetes gives a pod. */
export const DEFAULT_HANDOVER_TIMEOUT_MS = 15_000;

/** A version that a node serves which is about to leave, as the others hold it. */
export interface HandoverVersion {
  readonly cid: VersionCid;
  /** Replicas there have to be without this node: the publisher's minimum, or one while it is asked for. */
  readonly wanted: number;
  /** Replicas on others that stay and are READY. */
  readonly ready: number;
  /** Nodes that load it, or could: that stay, take further versions and have room. */
  readonly takers: number;
}

/**
 * The versions for which a node that leaves has to wait: as many as are wanted are not READY elsewhere, although there is somebody
 * to make them. What nobody can take is not waited for.
 */
export function selectOwed(versions: readonly HandoverVersion[]): readonly HandoverVersion[] {
  return versions.filter(({ wanted, ready, takers }) => ready < Math.min(wanted, ready + takers));
}

/** Replicas there have to be of a version without the node that leaves. */
export function wantedWithout(
  {
    minReplicas,
    scaleToZeroDelayMs,
  }: { readonly minReplicas: number; readonly scaleToZeroDelayMs: number },
  idleMs: number,
): number {
  if (minReplicas > 0) return minReplicas;
  return idleMs < scaleToZeroDelayMs ? 1 : 0;
}
