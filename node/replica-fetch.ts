import { peerIdFromString } from '@libp2p/peer-id';
import { CID } from 'multiformats/cid';
import { protocolId } from '../protocols/protocol-id.ts';
import { TRANSFER_VERSION, TransferConnection } from '../protocols/transfer/index.ts';
import type { VersionCid } from '../protocols/types.ts';
import { fetchVersion } from '../src/swarm/fetch.ts';
import type { SwarmPeer } from '../src/swarm/peer.ts';
import type { StoredVersion, VersionStore } from './store/version-store.ts';

/** Providers asked of the DHT: more would only share the same links. */
const MAX_DHT_PROVIDERS = 8;

export interface ReplicaFetchOptions {
  /** Peer that asked for the replica: it has the version, or knows who does. */
  readonly asker: string | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (bytes: number, totalBytes: number | null) => void;
}

/** The version on disk, fetched from its holders when it is not there yet. */
export async function fetchReplica(
  components: { readonly peer: SwarmPeer; readonly store: VersionStore },
  cid: VersionCid,
  options: ReplicaFetchOptions,
): Promise<StoredVersion> {
  const { peer, store } = components;
  const stored = await store.get(cid);
  if (stored !== undefined) return stored;
  await fetchVersion({
    cid,
    peers: holders(peer, cid, options),
    connect: (holder, signal) => connect(peer, holder, signal),
    store,
    signal: options.signal,
    onProgress: options.onProgress,
  });
  const fetched = await store.get(cid);
  if (fetched === undefined)
    throw new Error(`store lost version ${cid} right after it was fetched`);
  return fetched;
}

async function connect(
  peer: SwarmPeer,
  holder: string,
  signal: AbortSignal,
): Promise<TransferConnection> {
  const stream = await peer.libp2p.dialProtocol(
    peerIdFromString(holder),
    protocolId(peer.network, 'transfer', TRANSFER_VERSION),
    { signal },
  );
  return new TransferConnection(stream, { peer: holder });
}

/** Whoever may have the version, nearest knowledge first: the asker, the announced holders, the DHT's providers. */
async function* holders(
  peer: SwarmPeer,
  cid: VersionCid,
  { asker, signal }: ReplicaFetchOptions,
): AsyncGenerator<string> {
  const told = new Set<string>([peer.id]);
  const fresh = (id: string): boolean => !told.has(id) && told.add(id) !== undefined;
  if (asker !== undefined && fresh(asker)) yield asker;
  for (const { node } of peer.view.ready(cid, Date.now())) {
    const id = node.announcement.node;
    if (!fresh(id)) continue;
    await peer.learnAddresses(id);
    yield id;
  }
  let found = 0;
  for await (const provider of peer.libp2p.contentRouting.findProviders(CID.parse(cid), {
    signal,
  })) {
    const id = provider.id.toString();
    if (!fresh(id)) continue;
    if (provider.multiaddrs.length > 0) {
      await peer.libp2p.peerStore.merge(provider.id, { multiaddrs: provider.multiaddrs });
    }
    yield id;
    found += 1;
    if (found >= MAX_DHT_PROVIDERS) return;
  }
}
