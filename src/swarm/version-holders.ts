import { CID } from 'multiformats/cid';
import { TRANSFER_VERSION, TransferConnection } from '../../protocols/transfer/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { SwarmPeer } from './peer.ts';

/** Providers asked of the DHT: more would only share the same links. */
const MAX_DHT_PROVIDERS = 8;

export interface FindHoldersOptions {
  /** Ids of peers that come first, such as whoever asked for a replica. @default [] */
  readonly first?: readonly string[] | undefined;
  readonly signal: AbortSignal;
}

/** Whoever may have a version, nearest knowledge first: those named, the announced holders, the DHT's providers. */
export async function* findHolders(
  peer: SwarmPeer,
  cid: VersionCid,
  { first = [], signal }: FindHoldersOptions,
): AsyncGenerator<string> {
  const told = new Set<string>([peer.id]);
  for (const id of [...first, ...announcedHolders(peer, cid)]) {
    if (told.has(id)) continue;
    told.add(id);
    yield id;
  }
  let found = 0;
  const providers = peer.libp2p.contentRouting.findProviders(CID.parse(cid), { signal });
  for await (const { id, multiaddrs } of providers) {
    if (told.has(id.toString())) continue;
    told.add(id.toString());
    if (multiaddrs.length > 0) await peer.libp2p.peerStore.merge(id, { multiaddrs });
    yield id.toString();
    found += 1;
    if (found >= MAX_DHT_PROVIDERS) return;
  }
}

/** Who announced that it has a version: those that have all of it first, then those that are on their way and serve what they have. */
export function announcedHolders(peer: SwarmPeer, cid: VersionCid): string[] {
  const holders = peer.view.holders(cid, Date.now());
  const whole = holders.filter(({ version }) => version.state !== 'loading');
  const partial = holders.filter(({ version }) => version.state === 'loading');
  return [...whole, ...partial]
    .map(({ node }) => node.announcement.node)
    .filter((id) => id !== peer.id);
}

/**
 * Opens a way to ask a peer for blocks; the caller closes it.
 *
 * @throws whatever libp2p says of a peer that cannot be dialled, or the signal's reason.
 */
export async function connectToHolder(
  peer: SwarmPeer,
  holder: string,
  signal: AbortSignal,
): Promise<TransferConnection> {
  const stream = await peer.openStream(holder, 'transfer', TRANSFER_VERSION, signal);
  return new TransferConnection(stream, { peer: holder });
}
