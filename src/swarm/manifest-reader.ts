import { BoundedMap } from '../../protocols/bounded-map.ts';
import { digestOfCid } from '../../protocols/digest.ts';
import { MAX_MANIFEST_BYTES } from '../../protocols/limits.ts';
import { decodeManifest, type Manifest } from '../../protocols/manifest/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { askHolders } from './ask-holders.ts';
import type { SwarmPeer } from './peer.ts';

/** Manifests kept in memory; they never change, so the oldest simply goes. */
const MAX_CACHED = 256;

/** Reads manifests from whoever holds the version; a manifest that does not match its CID is nobody's. */
export class ManifestReader {
  readonly #peer: SwarmPeer;
  readonly #cache = new BoundedMap<VersionCid, Manifest>(MAX_CACHED);

  constructor(peer: SwarmPeer) {
    this.#peer = peer;
  }

  /**
   * The manifest of a version.
   *
   * @throws {ERR_NO_NODE} when no known holder answered; `details.failures` says why each did not.
   */
  async read(cid: VersionCid, signal: AbortSignal): Promise<Manifest> {
    const cached = this.cached(cid);
    if (cached !== undefined) return cached;
    const manifest = await askHolders(
      this.#peer,
      cid,
      'its manifest',
      async (holder) =>
        decodeManifest(await holder.fetch(digestOfCid(cid), MAX_MANIFEST_BYTES, { signal }), cid),
      { signal },
    );
    this.#cache.set(cid, manifest);
    return manifest;
  }

  /** The manifest where it was read before. */
  cached(cid: VersionCid): Manifest | undefined {
    return this.#cache.get(cid);
  }

  async close(): Promise<void> {
    this.#cache.clear();
  }
}
