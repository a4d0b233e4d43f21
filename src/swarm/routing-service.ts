import { protocolId } from '../../protocols/protocol-id.ts';
import { DEFAULT_CHANNEL, isName, parsePublisherId } from '../../protocols/reference.ts';
import type { ReleaseRecord } from '../../protocols/release/index.ts';
import {
  handleRouting,
  MAX_SNAPSHOT_ANNOUNCEMENTS,
  ROUTING_VERSION,
  type RoutingHandler,
  type RoutingQuery,
  type RoutingSnapshot,
} from '../../protocols/routing/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { CANARY_CHANNEL, previousVersion } from '../policy/canary.ts';
import { answerCatalog, type ReadMetadata } from './catalog.ts';
import type { SwarmPeer } from './peer.ts';
import type { KnownRelease } from './releases.ts';
import type { NodeView } from './view.ts';

const ANSWER_TIMEOUT_MS = 5_000;

/** Streams that one peer may have open here at once. */
const MAX_STREAMS = 64;

/**
 * How old a look-up may be that a query is answered by. It bounds what a peer asks the DHT for: one model once in this time,
 * however many ask it. A push makes no difference: that none came does not say that nothing moved.
 */
export const ANSWERED_RELEASE_AGE_MS = 2_000;

/** How long a query waits for a look-up: after that memory answers, and the asker sees how old that is. */
const LOOKUP_WAIT_MS = 2_000;

export interface RoutingServiceInit {
  /** Reads the metadata of versions held here. @default none is held */
  readonly readMetadata?: ReadMetadata | undefined;
}

/** Answers routing queries from this peer's view and releases; a bootstrap server and every node do. */
export async function serveRouting(peer: SwarmPeer, init: RoutingServiceInit = {}): Promise<void> {
  const handler: RoutingHandler = {
    snapshot: (query, signal) => snapshot(peer, query, signal),
    catalog: (query) => answerCatalog(peer, query, init.readMetadata),
  };
  await peer.libp2p.handle(
    protocolId(peer.network, 'routing', ROUTING_VERSION),
    (stream) => handleRouting(stream, handler, AbortSignal.timeout(ANSWER_TIMEOUT_MS)),
    { maxInboundStreams: MAX_STREAMS, maxOutboundStreams: MAX_STREAMS },
  );
}

async function snapshot(
  peer: SwarmPeer,
  query: RoutingQuery,
  signal: AbortSignal,
): Promise<RoutingSnapshot> {
  const now = Date.now();
  if (query.kind === 'nodes') {
    return { release: null, announcements: relay(peer.view.announcements(now), now) };
  }
  const release = await findRelease(peer, query, signal);
  const holders = versionsOf(query, release?.record).map((cid) =>
    peer.view.announcementsOf(cid, now),
  );
  const answer = {
    release: release?.bytes ?? null,
    ...ageOf(release, now),
    announcements: relay(interleave(holders).slice(0, MAX_SNAPSHOT_ANNOUNCEMENTS), now),
  };
  const outcomes = release === undefined ? [] : peer.outcomes.digests(release.record);
  return outcomes.length === 0 ? answer : { ...answer, outcomes };
}

/** The versions a query is after: the one it names, its channel's, or all that a request could be sent to. */
function versionsOf(
  { selector }: RoutingQuery & { kind: 'model' },
  record: ReleaseRecord | undefined,
): VersionCid[] {
  const channels = record?.channels ?? {};
  if (selector !== '') {
    const cid = channels[selector]?.cid ?? (selector as VersionCid);
    const previous = previousVersion(channels, selector);
    return previous === undefined ? [cid] : [cid, previous];
  }
  // Those that requests go to without a channel's name come first, for the answer is bounded.
  const names = new Set([DEFAULT_CHANNEL, CANARY_CHANNEL, ...Object.keys(channels)]);
  const cids = [...names].flatMap((channel) => [
    ...(channels[channel] === undefined ? [] : [channels[channel].cid]),
    ...(channels[channel]?.previous === undefined ? [] : [channels[channel].previous]),
  ]);
  return [...new Set(cids)];
}

async function findRelease(
  peer: SwarmPeer,
  query: RoutingQuery & { kind: 'model' },
  signal: AbortSignal,
): Promise<KnownRelease | undefined> {
  const { name } = query;
  if (!isName(name)) return undefined;
  try {
    const publisher = parsePublisherId(query.publisher);
    return await peer.releases.find(publisher, name, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(LOOKUP_WAIT_MS)]),
      maxAgeMs: ANSWERED_RELEASE_AGE_MS,
    });
  } catch {
    // Not found here is an answer: null. The asker may ask another peer or the DHT itself.
    return undefined;
  }
}

/** Counted to when the question came. Absent where no look-up ever found the record: it was heard, or kept on disk. */
function ageOf(
  release: KnownRelease | undefined,
  nowMs: number,
): Pick<RoutingSnapshot, 'releaseAgeMs'> {
  if (release === undefined || release.checkedAtMs === 0) return {};
  return { releaseAgeMs: Math.max(0, nowMs - release.checkedAtMs) };
}

/** One of each list in turn, none twice: a version with many holders must not crowd out the others. */
function interleave(lists: readonly (readonly NodeView[])[]): NodeView[] {
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  const found = new Set<NodeView>();
  for (let index = 0; index < longest; index += 1) {
    for (const list of lists) {
      const view = list[index];
      if (view !== undefined) found.add(view);
    }
  }
  return [...found];
}

function relay(views: readonly NodeView[], nowMs: number) {
  return views
    .slice(-MAX_SNAPSHOT_ANNOUNCEMENTS)
    .map(({ bytes, heardAtMs }) => ({ bytes, ageMs: Math.max(0, nowMs - heardAtMs) }));
}
