import { BoundedMap } from '../../protocols/bounded-map.ts';
import { digestOfCid } from '../../protocols/digest.ts';
import { NoNodeError } from '../../protocols/errors.ts';
import { MAX_MANIFEST_BYTES } from '../../protocols/limits.ts';
import { decodeManifest, type Manifest } from '../../protocols/manifest/index.ts';
import type { NodeId, VersionCid } from '../../protocols/types.ts';
import type { SwarmPeer } from './peer.ts';
import { connectToHolder } from './version-holders.ts';

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
    const cached = this.#cache.get(cid);
    if (cached !== undefined) return cached;
    const failures: string[] = [];
    for (const { node } of this.#peer.view.holders(cid, Date.now())) {
      try {
        const manifest = await this.#readFrom(node.announcement.node, cid, signal);
        this.#cache.set(cid, manifest);
        return manifest;
      } catch (error) {
        signal.throwIfAborted();
        failures.push(
          `${node.announcement.node}: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
    }
    throw new NoNodeError(`no node that holds version ${cid} could give its manifest`, {
      details: { version: cid, failures },
    });
  }

  async close(): Promise<void> {
    this.#cache.clear();
  }

  async #readFrom(node: NodeId, cid: VersionCid, signal: AbortSignal): Promise<Manifest> {
    const connection = await connectToHolder(this.#peer, node, signal);
    try {
      const bytes = await connection.fetch(digestOfCid(cid), MAX_MANIFEST_BYTES, { signal });
      return decodeManifest(bytes, cid);
    } finally {
      await connection.close();
    }
  }
}
