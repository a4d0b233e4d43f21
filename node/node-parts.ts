import type { SwarmPeer } from '../src/swarm/peer.ts';
import type { SpanExporter } from '../src/swarm/span-exporter.ts';
import type { RecordStore } from '../src/swarm/record-store.ts';
import type { Announcer } from './announcer.ts';
import type { ControlServer } from './control/control-server.ts';
import type { InferenceBackend } from './backend/backend.ts';
import type { Isolation } from './backend/isolation.ts';
import type { DeviceProber } from './device/device-prober.ts';
import type { InferenceService } from './inference-service.ts';
import type { ResolvedNodeInit } from './node-init.ts';
import type { Handover } from './handover.ts';
import type { NodePause } from './node-pause.ts';
import type { NodePolicy } from './node-policy.ts';
import type { Scaler } from './scaler/scaler.ts';
import type { OwnerWatch } from './owner-watch.ts';
import type { ReleaseKeeper } from './release-keeper.ts';
import type { ReplicaSet } from './replica/replica-set.ts';
import type { PackingLoop } from './store/packing-loop.ts';
import type { VersionKnowledge } from './store/store-upkeep.ts';
import type { VersionStore } from './store/version-store.ts';
import type { VersionExperience } from './replica/version-experience.ts';
import type { VersionRetirement } from './replica/version-retirement.ts';
import type { OpenMetrics } from './metrics/open-metrics.ts';

/** What a running node is made of. */
export interface NodeParts {
  readonly init: ResolvedNodeInit;
  readonly records: RecordStore;
  readonly store: VersionStore;
  readonly devices: DeviceProber;
  readonly isolation: Isolation;
  readonly backend: InferenceBackend;
  readonly policy: NodePolicy;
  readonly peer: SwarmPeer;
  readonly releases: ReleaseKeeper;
  readonly replicas: ReplicaSet;
  readonly experience: VersionExperience;
  readonly inference: InferenceService;
  /** Undefined where nobody wants them. */
  readonly metrics: OpenMetrics | undefined;
  /** Undefined where nobody wants them. */
  readonly spans: SpanExporter | undefined;
  readonly announcer: Announcer;
  readonly packing: PackingLoop;
  readonly knowledge: VersionKnowledge;
  readonly retirement: VersionRetirement;
  /** Undefined where the node holds only what publishers place. */
  readonly scaler: Scaler | undefined;
  readonly handover: Handover;
  readonly drained: Promise<void>;
  readonly pause: NodePause;
  readonly watch: OwnerWatch;
  /** Undefined where the data folder's path is too long for a socket. */
  readonly control: ControlServer | undefined;
}
