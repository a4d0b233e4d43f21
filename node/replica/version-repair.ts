import type { Logger } from 'pino';
import { isSwarmError } from '../../protocols/errors.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { ReplicaFetcher } from './replica-fetch.ts';
import type { ReplicaSet } from './replica-set.ts';

/** A damaged version of which the missing and damaged chunks were fetched from other holders. */
export interface RepairedVersion {
  readonly cid: VersionCid;
  readonly repair: 'done';
  /** Bytes that came from others; 0 when another version here had them. */
  readonly fetchedBytes: number;
  /** True when it is loaded anew: what was in memory may have come from the damaged files. */
  readonly reloaded: boolean;
}

/** A version that stays damaged. */
export interface UnrepairedVersion {
  readonly cid: VersionCid;
  readonly repair: 'failed';
  /** One sentence. */
  readonly reason: string;
}

export type RepairOutcome = RepairedVersion | UnrepairedVersion;

/** Rejects with the signal's reason alone. */
export type RepairVersion = (cid: VersionCid, signal: AbortSignal) => Promise<RepairOutcome>;

export interface VersionRepairComponents {
  readonly fetcher: Pick<ReplicaFetcher, 'refetch'>;
  readonly replicas: Pick<ReplicaSet, 'reload'>;
  readonly logger: Pick<Logger, 'warn'>;
}

/**
 * Repairs a version of a node that runs. It is served meanwhile: what the runtime read is in memory, and what it has mapped
 * is repaired in place, in the same file. Then it is loaded anew, for nobody knows whether the damage or the load came first.
 */
export function createVersionRepair({
  fetcher,
  replicas,
  logger,
}: VersionRepairComponents): RepairVersion {
  return async (cid, signal) => {
    try {
      const fetchedBytes = await fetcher.refetch(cid, signal);
      const reloaded = await replicas.reload(cid, signal);
      return { cid, repair: 'done', fetchedBytes, reloaded };
    } catch (error) {
      signal.throwIfAborted();
      logger.warn({ err: error, cid }, 'damaged version could not be repaired');
      // What is not ours to explain is in the log alone.
      const reason = isSwarmError(error) ? error.message : 'the node failed, its log says why';
      return { cid, repair: 'failed', reason };
    }
  };
}
