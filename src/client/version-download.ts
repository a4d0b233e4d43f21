import type { Manifest } from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { fetchVersion } from '../swarm/fetch.ts';
import type { SwarmPeer } from '../swarm/peer.ts';
import { connectToHolder, findHolders } from '../swarm/version-holders.ts';
import { VersionFolder } from './version-folder.ts';

export interface DownloadVersionOptions {
  readonly signal: AbortSignal;
  /** Hears of bytes in place, of the total once that is known. */
  readonly onProgress?: ((bytes: number, totalBytes: number | null) => void) | undefined;
}

/**
 * Brings a version from those that hold it into a folder, as the files it was packed from: every chunk and every file is checked
 * against its hash. It begins anew each time; what a failed attempt wrote is gone.
 *
 * @param folder a new one
 * @throws {ERR_NOT_FOUND | ERR_CONNECTION} when nobody who holds it can be reached. {ERR_STORE} when the disk refuses.
 * @throws {ERR_INVALID_RECORD} when the version contradicts itself; the signal's reason when it aborts.
 */
export async function downloadVersion(
  peer: SwarmPeer,
  cid: VersionCid,
  folder: string,
  { signal, onProgress }: DownloadVersionOptions,
): Promise<Manifest> {
  const store = new VersionFolder(folder);
  // A CID alone, without publisher and name, has told nobody yet who holds it. The DHT is asked as well.
  await peer.survey({ kind: 'nodes' }, { signal });
  try {
    const { manifest } = await fetchVersion({
      cid,
      peers: findHolders(peer, cid, { signal }),
      connect: (holder, dialSignal) => connectToHolder(peer, holder, dialSignal),
      store,
      signal,
      onProgress,
    });
    return manifest;
  } catch (error) {
    await store.discard();
    throw error;
  }
}
