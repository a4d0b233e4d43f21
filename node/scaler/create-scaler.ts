import type { Logger } from 'pino';
import type { ScalingSettings } from '../../src/policy/scaling/scaling-settings.ts';
import { ManifestReader } from '../../src/swarm/manifest-reader.ts';
import type { SwarmPeer } from '../../src/swarm/peer.ts';
import { ScalingWatch } from '../../src/swarm/scaling-watch.ts';
import type { InferenceBackend } from '../backend/backend.ts';
import type { GpuMemory } from '../device/gpu-memory.ts';
import type { NodePolicy } from '../node-policy.ts';
import type { ReplicaFetcher } from '../replica/replica-fetch.ts';
import type { ReplicaSet } from '../replica/replica-set.ts';
import { checkAcceptable } from '../replica/version-load.ts';
import type { VersionStore } from '../store/version-store.ts';
import { NodeRoom } from './node-room.ts';
import { Prefetcher } from './prefetcher.ts';
import { Scaler } from './scaler.ts';

/** Milliseconds in which a backend says whether a version could run here. */
const ACCEPT_TIMEOUT_MS = 30_000;

export interface CreateScalerComponents {
  readonly peer: SwarmPeer;
  readonly store: VersionStore;
  readonly replicas: ReplicaSet;
  readonly fetcher: ReplicaFetcher;
  readonly backend: InferenceBackend;
  readonly gpus: GpuMemory;
  readonly policy: NodePolicy;
}

export interface CreateScalerInit {
  readonly scaling: ScalingSettings;
  readonly maxMemoryBytes: number;
  readonly logger: Logger;
}

/** The part of a node that follows the swarm's demand; {@link Scaler.start} begins. */
export function createScaler(
  { peer, store, replicas, fetcher, backend, gpus, policy }: CreateScalerComponents,
  { scaling, maxMemoryBytes, logger }: CreateScalerInit,
): Scaler {
  const manifests = new ManifestReader(peer);
  const watch = new ScalingWatch(
    peer,
    async (cid, signal) => (await store.manifest(cid)) ?? manifests.read(cid, signal),
  );
  const prefetcher = new Prefetcher({
    ...{ fetcher, replicas, logger },
    accept: (manifest) => {
      const signal = AbortSignal.timeout(ACCEPT_TIMEOUT_MS);
      return checkAcceptable({ policy, backend }, manifest, {
        signal,
        memoryBytes: maxMemoryBytes,
      });
    },
  });
  const room = new NodeRoom({
    ...{ gpus, store, ledger: replicas.ledger },
    mayLeave: (cid) => scaler.mayLeave(cid),
  });
  const scaler: Scaler = new Scaler(
    { peer, watch, replicas, prefetcher, room, policy, logger },
    { settings: scaling },
  );
  return scaler;
}
