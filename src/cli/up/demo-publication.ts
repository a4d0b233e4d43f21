import { generateKeyPair } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { type Manifest, resolveDeployment } from '../../../protocols/manifest/index.ts';
import { createMemorySequenceStore } from '../../../protocols/release/index.ts';
import type { NodeId, VersionCid } from '../../../protocols/types.ts';
import { publishVersion } from '../../client/publisher.ts';
import { packModel } from '../../model/package.ts';
import { peerIdText } from '../../swarm/identity.ts';
import { SwarmPeer } from '../../swarm/peer.ts';
import type { KeptReleases } from '../kept-releases.ts';
import type { BundledModel } from './bundled-models.ts';

/** A model that is released, and where its replicas are. */
export interface Publication {
  readonly model: BundledModel;
  /** `publisher/name`, for a client to ask for. */
  readonly reference: string;
  readonly cid: VersionCid;
  readonly manifest: Manifest;
  readonly replicas: readonly NodeId[];
}

export interface PublicationOptions {
  readonly network: string;
  readonly bootstrap: string;
  /** The publisher's key. */
  readonly key: PrivateKey;
  /** Where the publisher keeps its last records: a swarm with a data folder is started again. */
  readonly kept: KeptReleases;
  /** Nodes there are, all known to the bootstrap server: no more replicas are asked for. */
  readonly nodes: number;
  readonly signal: AbortSignal;
}

/**
 * Packs and publishes one model, and resolves once its minimum of replicas is READY.
 *
 * A peer of its own serves the files, so that models are published side by side; the nodes have them from each other afterwards.
 */
export async function publishBundledModel(
  model: BundledModel,
  { network, bootstrap, key, kept, nodes, signal }: PublicationOptions,
): Promise<Publication> {
  await using version = await packModel(model.folder, { signal });
  const record = { network, publisher: peerIdText(key), name: model.name };
  const peer = await SwarmPeer.start({
    network,
    privateKey: await generateKeyPair('Ed25519'),
    dhtMode: 'client',
    bootstrap: [bootstrap],
    sequences: createMemorySequenceStore(),
  });
  try {
    const { minReplicas } = resolveDeployment(version.manifest.deployment);
    const result = await publishVersion(peer, version, {
      name: model.name,
      key,
      replicas: Math.min(Math.max(1, minReplicas), nodes),
      openTurn: (turnSignal) => kept.openTurn(record, { holder: 'swarm up', signal: turnSignal }),
      signal,
    });
    const { publisher, replicas, cid } = result;
    const reference = `${publisher}/${model.name}`;
    return { model, reference, cid, manifest: version.manifest, replicas };
  } finally {
    await peer.stop();
  }
}
