import type { ReplicaState } from '../../../protocols/capacity/index.ts';
import type { VersionDemand } from '../../../protocols/demand/index.ts';
import type { ResolvedDeployment } from '../../../protocols/manifest/index.ts';
import type { NodeId, OwnerId, VersionCid } from '../../../protocols/types.ts';
import type { Hindrance } from './node-fitness.ts';
import type { ScalingMemory } from './scaling-memory.ts';
import type { ScalingSettings } from './scaling-settings.ts';

/** A node as far as it matters to who holds what. */
export interface ScalingNode {
  readonly node: NodeId;
  readonly owner: OwnerId;
  /** '' when not told: such nodes have no place in common. */
  readonly zone: string;
  /** False while it drains, rests, or is cordoned: it takes nothing more. */
  readonly accepting: boolean;
  /** Bytes that a further version may take in memory, idle ones that would leave for it included; null when unknown. */
  readonly memoryFreeBytes: number | null;
  /** Execution providers that work there. */
  readonly providers: readonly string[];
  /** Times as fast as a usual node, by what was measured on the versions it serves; null when unknown. */
  readonly speed: number | null;
  /** What an hour of it costs, in the currency or the watts that its owner counts in; null when untold. */
  readonly costPerHour: number | null;
  /** Versions that stand in its memory. */
  readonly serving: number;
  /** Share of its computing that is used already, 0 to 1; null when unknown. */
  readonly busyShare: number | null;
  /** Bytes of disk that further weights may take; null when unknown. */
  readonly diskFreeBytes: number | null;
}

/** One node's part in a version. Live: whose lease is over is left out. */
export interface ReplicaView {
  readonly node: NodeId;
  /** `loading` is a claim as well: whoever hears it leaves that place to it. */
  readonly state: ReplicaState;
  /** Requests a second that it can do, by what was measured there; null before the first. */
  readonly requestsPerS: number | null;
  /** Milliseconds for which it has been in this state, as far as this peer knows. */
  readonly forMs: number;
  /** Whether this peer has met the node, or would have missed it by now; what is not counts for less where {@link VersionView.phantoms} were seen. */
  readonly confirmed: boolean;
}

/** What one peer said of a version's demand. */
export interface DemandReport extends VersionDemand {
  readonly reporter: NodeId;
  readonly role: 'node' | 'client';
  /** Milliseconds since it came. */
  readonly ageMs: number;
  /** Milliseconds until the next was due, of the digest. */
  readonly intervalMs: number;
}

/** What the publisher asks for, of {@link ResolvedDeployment}. */
export type ScalingDeployment = Pick<
  ResolvedDeployment,
  | 'minReplicas'
  | 'maxReplicas'
  | 'targetInFlight'
  | 'latencyObjectiveMs'
  | 'scaleToZeroDelayMs'
  | 'providers'
>;

/** A released version, and what is known of it here. */
export interface VersionView {
  readonly cid: VersionCid;
  readonly deployment: ScalingDeployment;
  /** Bytes of memory that one replica takes. */
  readonly memoryBytes: number;
  /** Bytes of its files. */
  readonly fileBytes: number;
  /** The newest of each reporter, this node's own included. */
  readonly reports: readonly DemandReport[];
  /** Of each live node that has a part in it, this node included. */
  readonly replicas: readonly ReplicaView[];
  /** Nodes that said of late that they have a part in it, and were not there when they were first looked for. */
  readonly phantoms: number;
  /** Milliseconds since a recruit notice about it was heard, this node's own included; null for never. */
  readonly noticeAgeMs: number | null;
}

/** All that a node knows of the swarm when it plans. */
export interface ScalingView {
  readonly versions: readonly VersionView[];
  /** Live nodes it knows; whether it is among them itself makes no difference. */
  readonly nodes: readonly ScalingNode[];
  /** Nodes that there are, known or not, this one included: by the density of keys in the DHT. */
  readonly population: number;
}

/** The node that plans. */
export interface ScalingSelf {
  readonly node: ScalingNode;
  /** Versions that its operator forbids or its policy refuses: it never holds them. */
  readonly refused: ReadonlySet<VersionCid>;
  /** Versions whose files could not be fetched ahead of need of late: it may claim them, and fetches them for later no more for a while. */
  readonly unfetched: ReadonlySet<VersionCid>;
  /** Versions that its operator pinned: it never leaves them. */
  readonly pinned: ReadonlySet<VersionCid>;
  /** Loads under way, with the fetches for them. */
  readonly loading: number;
  /** Fetches under way ahead of need. */
  readonly prefetching: number;
  readonly settings: ScalingSettings;
  /** What the last plan gave; `EMPTY_SCALING_MEMORY` at first. */
  readonly memory: ScalingMemory;
}

/**
 * `claim`: announce it as loading, fetch and load it. `forget`: give a claim up, others were first. `leave`: take it out of
 * memory, keep the files. `prefetch`: fetch the files. `move`: `leave` one and `claim` another in its place. What leaves the
 * disk for want of room `store-eviction.ts` says.
 */
export type ReplicaAction =
  | {
      readonly kind: 'claim' | 'leave' | 'prefetch' | 'forget';
      readonly cid: VersionCid;
      readonly reason: string;
    }
  | {
      readonly kind: 'move';
      readonly cid: VersionCid;
      /** What leaves for it. */
      readonly from: VersionCid;
      readonly reason: string;
    };

/** Replicas for which there is no place, with why in one word and in a sentence. */
export interface UnplaceableReplicas {
  readonly count: number;
  readonly hindrance: Hindrance;
  readonly reason: string;
}

/** Where a version stands, for status and metrics. */
export interface VersionPlan {
  readonly cid: VersionCid;
  /** Replicas that demand asks for, as many as fill it in rank order. */
  readonly desired: number;
  /** Replicas ready or loading. */
  readonly have: number;
  /** Requests a second that replicas are wanted for, and that they can do. */
  readonly desiredPerS: number;
  readonly havePerS: number;
  /** True while the panic window rules, and for a stable window after. */
  readonly panic: boolean;
  /** Replicas wanted for which no known node has room; null when there are none. */
  readonly unplaceable: UnplaceableReplicas | null;
}

/** What a node is to do now, and how the versions stand. */
export interface ReplicaPlan {
  readonly actions: readonly ReplicaAction[];
  readonly versions: readonly VersionPlan[];
  /** Versions to publish a recruit notice for. */
  readonly notices: readonly VersionCid[];
  /** Nodes to look for, which others may have made up. */
  readonly meetings: readonly NodeId[];
  /** When it is worth to look before the next tick: a claim falls due, or a crowd grows. Null for never. */
  readonly lookAtMs: number | null;
  /** To be handed in with the next plan. */
  readonly memory: ScalingMemory;
}
