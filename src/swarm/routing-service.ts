import { protocolId } from '../../protocols/protocol-id.ts';
import { DEFAULT_CHANNEL, isName, parsePublisherId } from '../../protocols/reference.ts';
import {
  handleRouting,
  MAX_SNAPSHOT_ANNOUNCEMENTS,
  ROUTING_VERSION,
  type RoutingQuery,
  type RoutingSnapshot,
} from '../../protocols/routing/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { SwarmPeer } from './peer.ts';
import type { NodeView } from './view.ts';

const ANSWER_TIMEOUT_MS = 5_000;

/** Streams that one peer may have open here at once. */
const MAX_STREAMS = 64;

/** Answers routing queries from this peer's view and releases; a bootstrap server and every node do. */
export async function serveRouting(peer: SwarmPeer): Promise<void> {
  await peer.libp2p.handle(
    protocolId(peer.network, 'routing', ROUTING_VERSION),
    (stream) =>
      handleRouting(
        stream,
        (query, signal) => snapshot(peer, query, signal),
        AbortSignal.timeout(ANSWER_TIMEOUT_MS),
      ),
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
  const channels = release?.record.channels ?? {};
  const cid = channels[query.selector || DEFAULT_CHANNEL]?.cid ?? query.selector;
  return {
    release: release?.bytes ?? null,
    announcements: relay(peer.view.announcementsOf(cid as VersionCid, now), now),
  };
}

async function findRelease(
  peer: SwarmPeer,
  query: RoutingQuery & { kind: 'model' },
  signal: AbortSignal,
) {
  if (!isName(query.name)) return undefined;
  try {
    return await peer.releases.find(parsePublisherId(query.publisher), query.name, { signal });
  } catch {
    // Not found here is an answer: null. The asker may ask another peer or the DHT itself.
    return undefined;
  }
}

function relay(views: readonly NodeView[], nowMs: number) {
  return views
    .slice(-MAX_SNAPSHOT_ANNOUNCEMENTS)
    .map(({ bytes, heardAtMs }) => ({ bytes, ageMs: Math.max(0, nowMs - heardAtMs) }));
}
