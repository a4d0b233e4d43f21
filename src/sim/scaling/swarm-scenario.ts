import type { ScalingDeployment } from '../../policy/scaling/scaling-view.ts';
import type { ScalingInit } from '../../policy/scaling/scaling-settings.ts';
import type { DemandTrace } from './demand-trace.ts';

/** A simulated node; it runs one request at a time, whatever the version. */
export interface SimNodeSpec {
  /** Times as fast as a usual node. */
  readonly speed: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  /** Bytes a second that it gives, and takes. */
  readonly uplinkBytesPerS: number;
  readonly downlinkBytesPerS: number;
  readonly owner: string;
  readonly zone: string;
  /** Milliseconds of the simulation at which it joins; 0 for from the beginning. */
  readonly joinsAtMs: number;
  /** Milliseconds at which it is lost; infinite for never. */
  readonly diesAtMs: number;
  /** Times what it was asked for, that it tells; 1 for the truth. */
  readonly exaggeration: number;
  /** Times what it can do, that it tells; 1 for the truth. */
  readonly boast: number;
}

/** A simulated version. */
export interface SimVersionSpec {
  readonly deployment: ScalingDeployment;
  readonly memoryBytes: number;
  readonly fileBytes: number;
  /** Milliseconds of one request on a usual node. */
  readonly serviceMs: number;
  /** Milliseconds of a load from the disk. */
  readonly loadMs: number;
  readonly trace: DemandTrace;
  /** Replicas that are ready at the beginning. */
  readonly replicas: number;
  /** Clients that ask for it. */
  readonly clients: number;
}

/** How news travels. */
export interface GossipSpec {
  /** Milliseconds from a peer to another over all hops: the mean, exponentially distributed above the least. */
  readonly leastDelayMs: number;
  readonly meanDelayMs: number;
  /** Share of the messages that a peer never gets. */
  readonly loss: number;
  /** Milliseconds until a lost node has left all views. */
  readonly detectMs: number;
  /** Other nodes that a node knows, beside those with whom it holds a version. */
  readonly knownNodes: number;
}

/** At a moment a version is to have so many replicas: what one would say who sees all at once, and is obeyed at once. */
export interface ReplicaOrder {
  readonly atMs: number;
  /** Index of the version. */
  readonly version: number;
  readonly replicas: number;
}

export interface SwarmScenario {
  readonly nodes: readonly SimNodeSpec[];
  readonly versions: readonly SimVersionSpec[];
  readonly gossip: GossipSpec;
  readonly settings: ScalingInit;
  readonly durationMs: number;
  readonly deadlineMs: number;
  readonly seed: number;
  /** What is done instead of what nodes plan, in the order of time. @default nodes plan */
  readonly orders?: readonly ReplicaOrder[] | undefined;
}

/** As measured in real swarms on one machine, with the way between machines added. */
export const DEFAULT_GOSSIP: GossipSpec = {
  leastDelayMs: 50,
  meanDelayMs: 300,
  loss: 0.01,
  detectMs: 5_000,
  knownNodes: 64,
};
