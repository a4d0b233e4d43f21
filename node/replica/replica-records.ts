import { CID } from 'multiformats/cid';
import type { Logger } from 'pino';
import { ForbiddenError, isSwarmError } from '../../protocols/errors.ts';
import type { Delegation } from '../../protocols/release/index.ts';
import { openPlacementGrant } from '../../protocols/replica/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { SwarmPeer } from '../../src/swarm/peer.ts';
import type { NodePolicy } from '../node-policy.ts';
import type { VersionStore } from '../store/version-store.ts';
import type { ReplicaOrigin } from './replica.ts';

const DHT_TIMEOUT_MS = 30_000;

export interface OpenGrantOptions {
  readonly policy: Pick<NodePolicy, 'check'>;
  readonly releases: Pick<SwarmPeer['releases'], 'find'>;
  readonly signal: AbortSignal;
}

/**
 * Which version a grant asks this node to hold, as which.
 *
 * @throws {ERR_FORBIDDEN} when this node never holds the version, or a delegate's time is over.
 * @throws {ERR_INVALID_RECORD} when the grant is not what it claims.
 */
export async function openGrant(
  grant: Uint8Array,
  { policy, releases, signal }: OpenGrantOptions,
): Promise<ReplicaOrigin> {
  const { publisher, name, cid, delegation } = await openPlacementGrant(grant);
  policy.check({ publisher, cid });
  if (delegation !== undefined) await refuseRevoked(releases, delegation, signal);
  return { publisher, name, cid };
}

/**
 * Refuses a delegate whose certificate the publisher has stepped over: he can release nothing any more, so he places nothing.
 *
 * @throws {ERR_FORBIDDEN} when the delegation has ended.
 */
async function refuseRevoked(
  releases: Pick<SwarmPeer['releases'], 'find'>,
  { publisher, name, delegate, untilSequence }: Delegation,
  signal: AbortSignal,
): Promise<void> {
  const newest = await releases
    .find(publisher, name, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(DHT_TIMEOUT_MS)]),
    })
    .catch((error: unknown) => {
      signal.throwIfAborted();
      if (isSwarmError(error) && error.code === 'ERR_NOT_FOUND') return undefined;
      throw error;
    });
  if (newest === undefined || newest.record.sequence <= untilSequence) return;
  throw new ForbiddenError(
    `delegation of ${publisher}/${name} to ${delegate} ended at sequence ${untilSequence}, the release has ${newest.record.sequence}`,
  );
}

/** Tells the DHT that this node holds a version. Never rejects: what fails is in the log. */
export async function provideVersion(
  peer: Pick<SwarmPeer, 'libp2p'>,
  cid: VersionCid,
  { signal, logger }: { readonly signal: AbortSignal; readonly logger: Pick<Logger, 'warn'> },
): Promise<void> {
  try {
    await peer.libp2p.contentRouting.provide(CID.parse(cid), {
      signal: AbortSignal.any([signal, AbortSignal.timeout(DHT_TIMEOUT_MS)]),
    });
  } catch (error) {
    if (signal.aborted) return;
    logger.warn({ err: error, cid }, 'DHT could not be told; tried again within the hour');
  }
}

/** Where what is held is written down. */
export interface ReplicaRecords {
  readonly peer: Pick<SwarmPeer, 'releases'>;
  readonly store: Pick<VersionStore, 'want'>;
}

/** Writes down, over restarts, that a version is to be served, or kept on the disk alone. */
export async function rememberVersion(
  { peer, store }: ReplicaRecords,
  origin: ReplicaOrigin,
  cold: boolean,
): Promise<void> {
  const release = peer.releases.cached(origin.publisher, origin.name)?.bytes ?? null;
  await store.want({ ...origin, release, cold });
}

/** As {@link rememberVersion}, of one that is loaded from now on. Never rejects: what fails is in the log. */
export function rememberLoaded(
  records: ReplicaRecords,
  origin: ReplicaOrigin,
  { logger }: { readonly logger: Pick<Logger, 'warn'> },
): void {
  rememberVersion(records, origin, false).catch((error: unknown) => {
    const { cid } = origin;
    logger.warn({ err: error, cid }, 'version is left on the disk at the next start');
  });
}

/** What was held before a restart and may still be; the log says why the rest is not. */
export async function servable(
  store: Pick<VersionStore, 'wanted'>,
  policy: Pick<NodePolicy, 'refusal'>,
  logger: Pick<Logger, 'warn'>,
): Promise<{ readonly origin: ReplicaOrigin; readonly cold: boolean }[]> {
  const found: { readonly origin: ReplicaOrigin; readonly cold: boolean }[] = [];
  for (const { publisher, name, cid, cold = false } of await store.wanted()) {
    const origin = { publisher, name, cid };
    const refusal = policy.refusal(origin);
    if (refusal === undefined) found.push({ origin, cold });
    else logger.warn({ ...origin, refusal }, 'version is not served any more: not loaded');
  }
  return found;
}
