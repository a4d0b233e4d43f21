import { setTimeout as delay } from 'node:timers/promises';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';
import { isSwarmError, NoNodeError } from '../../protocols/errors.ts';
import { type Manifest, manifestBytes, resolveDeployment } from '../../protocols/manifest/index.ts';
import { protocolId } from '../../protocols/protocol-id.ts';
import { DEFAULT_CHANNEL } from '../../protocols/reference.ts';
import { openDelegation, type ReleaseGuard } from '../../protocols/release/index.ts';
import {
  REPLICA_VERSION,
  type ReplicaProgress,
  requestReplica,
  signPlacementGrant,
} from '../../protocols/replica/index.ts';
import {
  type BlockSource,
  handleTransfer,
  RateLimiter,
  TRANSFER_VERSION,
} from '../../protocols/transfer/index.ts';
import type { AbortOptions, NodeId, PublisherId, VersionCid } from '../../protocols/types.ts';
import { type PlacementCandidate, rankForReplica } from '../policy/replica-placement.ts';
import type { SwarmPeer } from '../swarm/peer.ts';
import { setVersion } from './release-editor.ts';
import { type MoveReleaseOptions, moveRelease } from './release-move.ts';

/** Resident bytes of a loaded model per byte of its files, measured for models loaded by path. */
const MEMORY_PER_FILE_BYTE = 1.35;

/** How long a first node is waited for: those that start beside the publisher need a moment to be heard of. */
const FIRST_NODE_MS = 10_000;

/** How long further nodes are waited for when fewer are known than replicas are wanted. */
const FURTHER_NODES_MS = 3_000;

const DISCOVERY_INTERVAL_MS = 200;

const SNAPSHOT_TIMEOUT_MS = 3_000;

/** Transfer streams one node may open to a publisher. */
const MAX_STREAMS = 64;

/** A version ready to be published: its manifest and where its blocks are read from. */
export interface PublishableVersion {
  readonly cid: VersionCid;
  readonly manifest: Manifest;
  readonly source: BlockSource;
}

export interface PublishOptions extends AbortOptions {
  readonly name: string;
  /** The publisher's key, whose peer id is the publisher, or that of a delegate. */
  readonly key: PrivateKey;
  /** @default 'stable' */
  readonly channel?: string | undefined;
  /** Replicas that must be READY. @default the manifest's minimum, or the number of nodes where there are fewer */
  readonly replicas?: number | undefined;
  /** The publisher's signed delegation to `key`, when that is another's; the publisher is then whoever signed it. */
  readonly certificate?: Uint8Array | undefined;
  /** Share of requests, for a partial channel. @default all of the channel's own */
  readonly weight?: number | undefined;
  /** When clients give the version up by themselves. @default never */
  readonly guard?: ReleaseGuard | undefined;
  /** How long the release record is believed. @default one year */
  readonly validityMs?: number | undefined;
  /** The publisher's own memory of what it signed. @default none: the DHT alone knows the last sequence */
  readonly openTurn?: MoveReleaseOptions['openTurn'];
  /** Bytes a second that nodes may fetch from here, all together, at least 65536. @default as fast as it goes */
  readonly uploadLimitBytes?: number | undefined;
  readonly onProgress?: ((event: PublishProgress) => void) | undefined;
}

/** How one node gets on, or why it does not. */
export type PublishProgress =
  | ({ readonly node: NodeId } & ReplicaProgress)
  | {
      readonly node: NodeId;
      readonly state: 'refused';
      readonly code: string;
      readonly message: string;
    };

export interface PublishResult {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly channel: string;
  readonly cid: VersionCid;
  readonly sequence: number;
  /** Nodes where the version is READY. */
  readonly replicas: readonly NodeId[];
  /** As released; null when none was asked for. */
  readonly guard: ReleaseGuard | null;
  /** What a guarded version is compared with, and given up for; null when there was no other. */
  readonly previous: VersionCid | null;
  /** The signed record, for the publisher to keep. */
  readonly record: Uint8Array;
}

/**
 * Publishes a version: asks nodes to hold it until enough are READY, then moves the channel to it.
 *
 * The channel moves last, so that no client is sent to a version nobody serves. When too few nodes take the version nothing
 * is released.
 *
 * @throws {ERR_NO_NODE} when too few nodes became READY; `details.refusals` says which refused and why.
 */
export async function publishVersion(
  peer: SwarmPeer,
  version: PublishableVersion,
  options: PublishOptions,
): Promise<PublishResult> {
  const signal = options.signal ?? AbortSignal.timeout(3_600_000);
  const { name, key, certificate } = options;
  const { cid } = version;
  const channel = options.channel ?? DEFAULT_CHANNEL;
  const publisher = await publisherOf(options);
  const grant = await signPlacementGrant({ name, cid, certificate }, key, Date.now());
  const transfer = protocolId(peer.network, 'transfer', TRANSFER_VERSION);
  const { uploadLimitBytes } = options;
  const limit = uploadLimitBytes === undefined ? undefined : new RateLimiter(uploadLimitBytes);
  await peer.libp2p.handle(
    transfer,
    (stream, connection) =>
      handleTransfer(stream, version.source, { peer: connection.remotePeer.toString(), limit }),
    { maxInboundStreams: MAX_STREAMS, maxOutboundStreams: MAX_STREAMS },
  );
  let replicas: NodeId[];
  try {
    replicas = await placeReplicas(peer, version, grant, options, signal);
  } finally {
    await peer.libp2p.unhandle(transfer);
  }
  const { weight, guard, validityMs, openTurn } = options;
  const moved = await moveRelease(peer, {
    publisher,
    name,
    signer: { key, certificate },
    edit: (newest) =>
      setVersion(newest, {
        ...{ publisher, name, channel, cid, weight, guard, validityMs },
        nowMs: Date.now(),
      }),
    openTurn,
    signal,
  });
  const { sequence, channels } = moved.record;
  const { guard: released = null, previous = null } = channels[channel] ?? {};
  return {
    ...{ publisher, name, channel, cid, sequence, replicas },
    ...{ guard: released, previous, record: moved.bytes },
  };
}

async function publisherOf({ key, certificate }: PublishOptions): Promise<PublisherId> {
  if (certificate === undefined) return peerIdFromPrivateKey(key).toString() as PublisherId;
  return (await openDelegation(certificate)).publisher;
}

async function placeReplicas(
  peer: SwarmPeer,
  version: PublishableVersion,
  grant: Uint8Array,
  options: PublishOptions,
  signal: AbortSignal,
): Promise<NodeId[]> {
  const { minReplicas } = resolveDeployment(version.manifest.deployment);
  const ranked = await rankNodes(peer, version, options.replicas ?? minReplicas, signal);
  const wanted = options.replicas ?? Math.min(minReplicas, ranked.length);
  const ready: NodeId[] = [];
  const refusals: { node: NodeId; code: string; message: string }[] = [];
  const queue = ranked.map(({ node }) => node);
  // As many in parallel as replicas are missing; each that refuses is followed by the next in rank.
  const worker = async (): Promise<void> => {
    for (;;) {
      const node = queue.shift();
      if (node === undefined) return;
      try {
        for await (const progress of askNode(peer, node, grant, signal)) {
          options.onProgress?.({ node, ...progress });
        }
        ready.push(node);
        return;
      } catch (error) {
        signal.throwIfAborted();
        const code = isSwarmError(error) ? error.code : 'ERR_CONNECTION';
        const message = error instanceof Error ? error.message : String(error);
        refusals.push({ node, code, message });
        options.onProgress?.({ node, state: 'refused', code, message });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, wanted) }, worker));
  if (ready.length >= Math.max(1, wanted)) return ready;
  throw tooFew(ready.length, Math.max(1, wanted), refusals);
}

async function* askNode(
  peer: SwarmPeer,
  node: NodeId,
  grant: Uint8Array,
  signal: AbortSignal,
): AsyncGenerator<ReplicaProgress> {
  await peer.learnAddresses(node);
  const stream = await peer.libp2p.dialProtocol(
    peerIdFromString(node),
    protocolId(peer.network, 'replica', REPLICA_VERSION),
    { signal },
  );
  yield* requestReplica(stream, { grant }, signal);
}

/** The nodes there are, best first; waits a little for those that have just come. */
async function rankNodes(
  peer: SwarmPeer,
  version: PublishableVersion,
  wanted: number,
  signal: AbortSignal,
): Promise<PlacementCandidate[]> {
  await peer.connected(signal);
  const startedAtMs = Date.now();
  let candidates = await findCandidates(peer, version.cid, signal);
  while (candidates.length < wanted) {
    const waitedMs = Date.now() - startedAtMs;
    if (waitedMs >= (candidates.length === 0 ? FIRST_NODE_MS : FURTHER_NODES_MS)) break;
    await delay(DISCOVERY_INTERVAL_MS, undefined, { signal });
    candidates = await findCandidates(peer, version.cid, signal);
  }
  if (candidates.length === 0) {
    throw new NoNodeError(
      'no node is known to the peers of this swarm: start one with `swarm node`',
    );
  }
  const { memoryBytes } = version.manifest.deployment;
  const needBytes = memoryBytes ?? manifestBytes(version.manifest) * MEMORY_PER_FILE_BYTE;
  return rankForReplica(candidates, version.cid, needBytes);
}

async function findCandidates(
  peer: SwarmPeer,
  cid: VersionCid,
  signal: AbortSignal,
): Promise<PlacementCandidate[]> {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(SNAPSHOT_TIMEOUT_MS)]);
  const asked = peer.libp2p
    .getPeers()
    .map((id) => peer.snapshot(id.toString(), { kind: 'nodes' }, bounded));
  await Promise.allSettled(asked);
  signal.throwIfAborted();
  const now = Date.now();
  const holders = new Set(peer.view.holders(cid, now).map(({ node }) => node.announcement.node));
  return peer.view
    .nodes(now)
    .filter(({ announcement }) => announcement.state === 'serving')
    .map(({ announcement: { node, owner, zone, memoryFreeBytes } }) => ({
      node,
      owner,
      zone,
      memoryFreeBytes,
      holdsVersion: holders.has(node),
    }));
}

function tooFew(
  ready: number,
  wanted: number,
  refusals: readonly { node: NodeId; code: string; message: string }[],
): NoNodeError {
  const why = refusals.map(({ node, message }) => `${node}: ${message}`).join('; ');
  return new NoNodeError(
    `${ready} of ${wanted} replicas are READY, nothing was released; ${why === '' ? 'no further node is known' : `refused by ${why}`}`,
    { details: { ready, wanted, refusals } },
  );
}
