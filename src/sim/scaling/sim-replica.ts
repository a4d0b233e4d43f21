import type { ReplicaState } from '../../../protocols/capacity/index.ts';
import type { VersionDemand } from '../../../protocols/demand/index.ts';
import type { ToldDemand } from '../../policy/scaling/digest-schedule.ts';
import { DemandMeter, type DemandMeterInit } from '../../policy/scaling/demand-meter.ts';

/** Digests that are kept of one replica: the newest that have reached everybody, and those on their way. */
const KEPT_DIGESTS = 6;

/** What a replica told, and when. */
export interface SentDigest {
  readonly number: number;
  readonly atMs: number;
  readonly intervalMs: number;
  readonly demand: Omit<VersionDemand, 'cid'>;
  /** Requests a second that it said it can do. */
  readonly requestsPerS: number | null;
}

/** One node's part in one version. */
export class SimReplica {
  readonly index: number;
  readonly node: number;
  readonly version: number;
  readonly meter: DemandMeter;
  /** Newest last. */
  readonly digests: SentDigest[] = [];
  state: ReplicaState;
  stateBefore: ReplicaState = 'gone';
  changedAtMs: number;
  /** Changes so far: which one a peer has heard of depends on it. */
  changes = 0;
  /** What was last told of what it is asked for; undefined while there is nothing to tell. */
  told: ToldDemand | undefined;
  /** Requests of it that wait or run. */
  inFlight = 0;
  /** Of the fetch or load that is under way: one that was given up ends without effect. */
  loadNumber = 0;
  /** Whether all of its files are on the disk. */
  stored = false;
  /** When the fetch that is under way will be over; undefined while there is none. */
  fetchedAtMs: number | undefined;
  /** True while its files are fetched for later. */
  prefetching = false;

  constructor(
    place: { readonly index: number; readonly node: number; readonly version: number },
    state: ReplicaState,
    { windows, nowMs }: { readonly windows: DemandMeterInit; readonly nowMs: number },
  ) {
    this.index = place.index;
    this.node = place.node;
    this.version = place.version;
    this.state = state;
    this.changedAtMs = nowMs;
    this.meter = new DemandMeter(windows);
  }

  become(state: ReplicaState, nowMs: number): void {
    this.stateBefore = this.state;
    this.state = state;
    this.changedAtMs = nowMs;
    this.changes += 1;
  }

  tell(digest: SentDigest): void {
    this.digests.push(digest);
    if (this.digests.length > KEPT_DIGESTS) this.digests.shift();
  }
}
