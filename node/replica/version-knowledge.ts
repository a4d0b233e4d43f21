import { peerIdFromString } from '@libp2p/peer-id';
import { CID } from 'multiformats/cid';
import { decodeRelease, type ReleaseRecord } from '../../protocols/release/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { SwarmPeer } from '../../src/swarm/peer.ts';
import type { Replica } from './replica.ts';
import type { VersionKnowledge } from '../store/store-upkeep.ts';
import type { VersionStore } from '../store/version-store.ts';

/** The DHT is asked only when room is needed and nobody announced the version: a fetch waits for the answer. */
const PROVIDERS_TIMEOUT_MS = 5_000;

/** Copies beyond this change nothing: each of them will do. */
const ENOUGH_HOLDERS = 3;

export interface VersionKnowledgeComponents {
  readonly peer: SwarmPeer;
  readonly store: Pick<VersionStore, 'wanted'>;
  readonly replicas: { get(cid: VersionCid): Replica | undefined };
}

/** What this node knows of the versions on its disk, from its replicas, the swarm and the release records it keeps. */
export function createVersionKnowledge(
  components: () => VersionKnowledgeComponents,
): VersionKnowledge {
  return {
    inUse: (cid) => {
      const state = components().replicas.get(cid)?.state;
      return state === 'loading' || state === 'ready';
    },
    released: async (cid) => {
      const releases = await newestReleases(components(), cid);
      return releases.length === 0 || releases.some((one) => one === undefined || names(one, cid));
    },
    current: async (cid) => {
      const releases = await newestReleases(components(), cid);
      return releases.some((one) => one === undefined || pointsAt(one.channels, cid));
    },
    otherHolders: (cid) => countHolders(components().peer, cid),
  };
}

/** The newest release record of each model that a version is of: it has several names where several have published the same bytes. */
async function newestReleases(
  { peer, store }: VersionKnowledgeComponents,
  cid: VersionCid,
): Promise<(ReleaseRecord | undefined)[]> {
  const wanted = (await store.wanted()).filter((one) => one.cid === cid);
  return Promise.all(
    wanted.map(async ({ publisher, name, release }) => {
      const cached = peer.releases.cached(publisher, name)?.record;
      if (cached !== undefined || release === null) return cached;
      // An expired record still says what was released.
      return decodeRelease(release, { nowMs: null });
    }),
  );
}

/** Whether a channel points at a version; also what a guard falls back to at any moment. */
export function pointsAt(channels: ReleaseRecord['channels'], cid: VersionCid): boolean {
  return Object.values(channels).some((channel) => channel.cid === cid || channel.previous === cid);
}

function names({ channels, history }: ReleaseRecord, cid: VersionCid): boolean {
  return pointsAt(channels, cid) || history.some((move) => move.cid === cid);
}

/** Peers that announce the version READY; where there are none, those that the DHT says have it and that answer. */
async function countHolders(peer: SwarmPeer, cid: VersionCid): Promise<number> {
  const announced = peer.view.ready(cid, Date.now());
  const others = new Set<string>(announced.map(({ node }) => node.announcement.node));
  others.delete(peer.id);
  if (others.size > 0) return others.size;
  const signal = AbortSignal.timeout(PROVIDERS_TIMEOUT_MS);
  try {
    for await (const { id } of peer.libp2p.contentRouting.findProviders(CID.parse(cid), {
      signal,
    })) {
      if (id.toString() === peer.id) continue;
      // A provider record may be two days old: it counts when its peer can still be reached.
      const reached = await peer.libp2p
        .dial(peerIdFromString(id.toString()), { signal })
        .catch(() => undefined);
      if (reached !== undefined) others.add(id.toString());
      if (others.size >= ENOUGH_HOLDERS) break;
    }
  } catch {
    // What the DHT does not say in time is not known, and what is not known to be elsewhere stays.
  }
  return others.size;
}
