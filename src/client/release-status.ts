import {
  type ReleaseRecord,
  type ResolvedReleaseGuard,
  resolveGuard,
} from '../../protocols/release/index.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import { selectTarget } from '../policy/canary.ts';
import { describeVerdict, type GuardVerdict } from '../policy/release-guard.ts';
import type { SwarmPeer } from '../swarm/peer.ts';

/** Peers asked for what they know of the release. */
const ASKED_PEERS = 8;

/** Where a channel stands now, as this peer sees it. */
export interface ChannelStatus {
  readonly channel: string;
  /** The version that the publisher's record names. */
  readonly cid: VersionCid;
  /** Share of requests of a partial channel; null for all of the channel's own. */
  readonly weight: number | null;
  /** The version that requests get: the one before `cid` while the guard has tripped. */
  readonly inUse: VersionCid;
  /** Null when the publisher set none. */
  readonly guard: GuardStatus | null;
}

export interface GuardStatus {
  /** `tripped` until the publisher's next record. */
  readonly state: 'watching' | 'tripped';
  readonly limits: ResolvedReleaseGuard;
  /** The counts it rests on; of a tripped one, those it tripped on. */
  readonly verdict: GuardVerdict;
  /** The same in one sentence, with what was allowed. */
  readonly why: string;
}

/** A model's newest release and how its guarded channels fare. */
export interface ReleaseStatus {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly sequence: number;
  readonly channels: readonly ChannelStatus[];
}

/**
 * Asks the peers around, and nodes that hold the model, for its release and what was counted of it.
 *
 * @throws {ERR_NOT_FOUND} when nobody, nor the DHT, has a record of the model.
 */
export async function findReleaseStatus(
  peer: SwarmPeer,
  model: { readonly publisher: PublisherId; readonly name: string },
  signal: AbortSignal,
): Promise<ReleaseStatus> {
  const { publisher, name } = model;
  const query = { kind: 'model', publisher, name, selector: '' } as const;
  const asked = { signal, atMost: ASKED_PEERS };
  await peer.survey(query, asked);
  const { record } = await peer.releases.find(publisher, name, { signal });
  // Digests that came with the first record heard, but are about a newer one, were passed over: those who hold it are asked.
  await peer.survey(query, { ...asked, peers: holdersOf(peer, record) });
  return statusOf(peer, record);
}

function holdersOf(peer: SwarmPeer, { channels }: ReleaseRecord): string[] {
  const nodes = Object.values(channels).flatMap(({ cid }) =>
    peer.view.holders(cid, Date.now()).map(({ node }) => node.announcement.node),
  );
  return [...new Set(nodes)];
}

function statusOf(peer: SwarmPeer, record: ReleaseRecord): ReleaseStatus {
  const { publisher, name, sequence } = record;
  const isTripped = (channel: string): boolean =>
    peer.outcomes.tripOf(record, channel) !== undefined;
  const channels = Object.entries(record.channels).map(([channel, target]) => {
    const selector = { kind: 'channel', channel } as const;
    const used = selectTarget(record, selector, { share: 1, isTripped });
    return {
      channel,
      cid: target.cid,
      weight: target.weight ?? null,
      inUse: used?.cid ?? target.cid,
      guard: guardStatus(peer, record, channel),
    };
  });
  return { publisher, name, sequence, channels };
}

function guardStatus(peer: SwarmPeer, record: ReleaseRecord, channel: string): GuardStatus | null {
  const guard = record.channels[channel]?.guard;
  const verdict = peer.outcomes.verdictOf(record, channel);
  if (guard === undefined || verdict === undefined) return null;
  const limits = resolveGuard(guard);
  const state = peer.outcomes.tripOf(record, channel) === undefined ? 'watching' : 'tripped';
  return { state, limits, verdict, why: describeVerdict(verdict, limits) };
}
