import type { ModelRef } from '../../protocols/reference.ts';
import type { ManifestReader } from '../swarm/manifest-reader.ts';
import type { SwarmPeer } from '../swarm/peer.ts';
import type { ReadManifest } from './call-inputs.ts';
import type { ModelResolver } from './model-resolver.ts';
import type { DescribedModel } from './remote-model.ts';

export interface ModelDescriptionsComponents {
  readonly peer: SwarmPeer;
  readonly resolver: ModelResolver;
  readonly manifests: ManifestReader;
}

/** What references mean, with what the versions say of themselves. */
export class ModelDescriptions {
  readonly #components: ModelDescriptionsComponents;

  constructor(components: ModelDescriptionsComponents) {
    this.#components = components;
  }

  /** From memory; undefined where somebody must be asked. */
  known(ref: ModelRef): DescribedModel | undefined {
    const { resolver, manifests } = this.#components;
    const resolved = resolver.known(ref);
    const manifest = resolved && manifests.cached(resolved.cid);
    return resolved && manifest && { ...resolved, manifest };
  }

  /** @throws {ERR_NOT_FOUND | ERR_NO_NODE} when the model is unknown or nobody who holds it can be reached. */
  async find(ref: ModelRef, signal: AbortSignal): Promise<DescribedModel> {
    const resolved = await this.#components.resolver.resolve(ref, signal);
    const manifest = await this.readerOf(ref)(resolved.cid, signal);
    return { ...resolved, manifest };
  }

  /** Reads the manifests of one model's versions. */
  readerOf(ref: ModelRef): ReadManifest {
    const { peer, resolver, manifests } = this.#components;
    return async (cid, signal) => {
      if (peer.view.holders(cid, Date.now()).length === 0) {
        // What was resolved a moment ago may be on nodes that were heard of since.
        await resolver.refresh(ref, cid, signal);
      }
      return manifests.read(cid, signal);
    };
  }
}
