import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { isSwarmError, NoNodeError } from '../../protocols/errors.ts';
import { type Manifest, resolveDeployment } from '../../protocols/manifest/index.ts';
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
import type { SwarmPeer } from '../swarm/peer.ts';
import { setVersion } from './release-editor.ts';
import { type MoveReleaseOptions, moveRelease } from './release-move.ts';
import { ReplicaCandidates } from './replica-candidates.ts';

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
  const candidates = new ReplicaCandidates(peer, version, signal);
  const found = await candidates.find(options.replicas ?? minReplicas);
  const wanted = options.replicas ?? Math.min(minReplicas, found);
  const ready: NodeId[] = [];
  const refusals: { node: NodeId; code: string; message: string }[] = [];
  // As many in parallel as replicas are missing; each that refuses is followed by the next in rank.
  const worker = async (): Promise<void> => {
    for (;;) {
      const node = await candidates.next();
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
  const stream = await peer.openStream(node, 'replica', REPLICA_VERSION, signal);
  yield* requestReplica(stream, { grant }, signal);
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
