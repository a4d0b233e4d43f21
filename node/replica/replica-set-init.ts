import type { Logger } from 'pino';
import type { SwarmPeer } from '../../src/swarm/peer.ts';
import type { InferenceBackend } from '../backend/backend.ts';
import type { CoreTurns } from '../backend/core-turns.ts';
import type { GpuMemory } from '../device/gpu-memory.ts';
import type { NodePolicy } from '../node-policy.ts';
import type { ReleaseKeeper } from '../release-keeper.ts';
import type { VersionStore } from '../store/version-store.ts';
import type { ReplicaFetcher } from './replica-fetch.ts';
import type { VersionExperience } from './version-experience.ts';

export interface ReplicaSetInit {
  readonly maxQueued: number;
  readonly executionLimitMs: number;
  /** Bytes of the host's memory that models may take together. */
  readonly maxMemoryBytes: number;
  /** Threads of one model's process at most. */
  readonly threads: number;
  readonly logger: Logger;
}

export interface ReplicaSetComponents {
  readonly peer: SwarmPeer;
  readonly store: VersionStore;
  readonly fetcher: ReplicaFetcher;
  readonly backend: InferenceBackend;
  readonly policy: NodePolicy;
  readonly releases: Pick<ReleaseKeeper, 'learn' | 'adopt'>;
  readonly gpus: GpuMemory;
  readonly experience: VersionExperience;
  /** On which models compute, all together. */
  readonly cores: CoreTurns;
  /** Called after any change that others should hear of. */
  readonly changed: () => void;
}
