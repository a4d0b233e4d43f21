import type { NodeId } from '../../protocols/types.ts';

/** Milliseconds between two heartbeats of one that has a hook and can say how many nodes there are to be. */
export const PROVISION_HEARTBEAT_MS = 5_000;

/** Milliseconds for which a heartbeat counts: two may be lost. */
export const PROVISION_LEASE_MS = 15_000;

/** Milliseconds that one listens before it takes itself into account: a heartbeat, and half of one for its way. */
export const PROVISION_LISTEN_MS = 7_500;

/** Milliseconds for which an order is left to the holder: a cloud takes minutes for a machine. */
export const PROVISION_PATIENCE_MS = 600_000;

/** What one peer with a hook knows of those that have the same. Times are by one clock, in milliseconds. */
export interface ProvisionLeaseView {
  readonly self: NodeId;
  /** Since when it listens. */
  readonly listeningSinceMs: number;
  /** When each other was last heard; who left is not in it. */
  readonly heardAtMs: ReadonlyMap<NodeId, number>;
}

/** Who tells the hook: of those that live the one with the lowest id. Undefined while one's own turn is not known yet and nobody else is there. */
export function selectProvisionHolder(
  { self, listeningSinceMs, heardAtMs }: ProvisionLeaseView,
  nowMs: number,
): NodeId | undefined {
  const living = [...heardAtMs].flatMap(([id, atMs]) =>
    nowMs - atMs < PROVISION_LEASE_MS ? [id] : [],
  );
  if (nowMs - listeningSinceMs >= PROVISION_LISTEN_MS) living.push(self);
  return living.sort()[0];
}

/**
 * Whether one that has a hook tells it. Who does not hold the lease does so all the same once an order has stood for ten minutes:
 * the holder may have been made up by one who guessed the hook, or have a hook that fails. Being told twice does no harm.
 */
export function mayTellHook(
  {
    isHolder,
    unfulfilledSinceMs,
  }: {
    readonly isHolder: boolean;
    /** Since when there have been more or fewer nodes than ordered; undefined while there are as many. */
    readonly unfulfilledSinceMs: number | undefined;
  },
  nowMs: number,
): boolean {
  if (isHolder) return true;
  return unfulfilledSinceMs !== undefined && nowMs - unfulfilledSinceMs >= PROVISION_PATIENCE_MS;
}
