import { BoundedMap } from '../../protocols/bounded-map.ts';
import type { DemandDigest, VersionDemand } from '../../protocols/demand/index.ts';
import type { NodeId, VersionCid } from '../../protocols/types.ts';
import type { DemandReport } from '../policy/scaling/scaling-view.ts';
import type { SwarmView } from './view.ts';

/** Held versions whose demand is kept; the one heard of longest ago goes first. */
const MAX_HELD_VERSIONS = 1_024;

/** Of those that nobody holds, as far as is known: a holder may be heard a moment after its demand. */
const MAX_UNHELD_VERSIONS = 256;

/** Reporters kept of one version; the one silent for longest goes first, holders after all others. */
const MAX_REPORTERS = 512;

/** Who is known to hold what. */
export type KnownHolders = Pick<SwarmView, 'isHeld' | 'isHolder'>;

interface Heard {
  readonly digest: Omit<DemandDigest, 'versions'>;
  readonly demand: VersionDemand;
  readonly heardAtMs: number;
}

/**
 * What peers last said of the demand for each version, one word of each. Times are the local clock's: theirs may be wrong.
 *
 * Anybody can make up versions, and keys to report with. Neither takes the place of what is known to be held, nor of its holders.
 */
export class DemandLedger {
  readonly #holders: KnownHolders;
  readonly #held = new BoundedMap<VersionCid, Map<NodeId, Heard>>(MAX_HELD_VERSIONS);
  readonly #unheld = new BoundedMap<VersionCid, Map<NodeId, Heard>>(MAX_UNHELD_VERSIONS);

  constructor(holders: KnownHolders) {
    this.#holders = holders;
  }

  /** Takes in a checked digest; false when it says nothing newer of any version. */
  add({ versions, ...digest }: DemandDigest, nowMs: number): boolean {
    let isNews = false;
    for (const demand of versions) {
      const heard = this.#of(demand.cid) ?? new Map<NodeId, Heard>();
      const before = heard.get(digest.reporter);
      if (before !== undefined && digest.sequence <= before.digest.sequence) continue;
      // Deleting first keeps both maps in the order of what was heard last.
      heard.delete(digest.reporter);
      heard.set(digest.reporter, { digest, demand, heardAtMs: nowMs });
      if (heard.size > MAX_REPORTERS) this.#dropReporter(demand.cid, heard, nowMs);
      this.#keep(demand.cid, heard, nowMs);
      isNews = true;
    }
    return isNews;
  }

  /** What was said of a version, for as long as it says anything. */
  reports(cid: VersionCid, nowMs: number): DemandReport[] {
    return this.#fresh(cid, nowMs).map(({ digest, demand, heardAtMs }) => {
      const { reporter, role, intervalMs } = digest;
      return { ...demand, reporter, role, ageMs: nowMs - heardAtMs, intervalMs };
    });
  }

  /** Peers of whose words on a version something still counts. */
  reporterCount(cid: VersionCid, nowMs: number): number {
    return this.#fresh(cid, nowMs).length;
  }

  /** Those of them that hold it. */
  holderCount(cid: VersionCid, nowMs: number): number {
    return this.#fresh(cid, nowMs).filter(({ digest }) => {
      return this.#holders.isHolder(digest.reporter, cid, nowMs);
    }).length;
  }

  #of(cid: VersionCid): Map<NodeId, Heard> | undefined {
    return this.#held.get(cid) ?? this.#unheld.get(cid);
  }

  #keep(cid: VersionCid, heard: Map<NodeId, Heard>, nowMs: number): void {
    const isHeld = this.#holders.isHeld(cid, nowMs);
    (isHeld ? this.#unheld : this.#held).delete(cid);
    (isHeld ? this.#held : this.#unheld).set(cid, heard);
  }

  #dropReporter(cid: VersionCid, heard: Map<NodeId, Heard>, nowMs: number): void {
    let [dropped] = heard.keys();
    for (const reporter of heard.keys()) {
      if (this.#holders.isHolder(reporter, cid, nowMs)) continue;
      dropped = reporter;
      break;
    }
    if (dropped !== undefined) heard.delete(dropped);
  }

  /** What was said of a version and has not faded, less what has. */
  #fresh(cid: VersionCid, nowMs: number): Heard[] {
    const heard = this.#of(cid);
    if (heard === undefined) return [];
    for (const [reporter, { digest, heardAtMs }] of heard) {
      const fadedAtMs = heardAtMs + digest.intervalMs + digest.stableWindowMs;
      if (nowMs >= fadedAtMs) heard.delete(reporter);
    }
    if (heard.size === 0) {
      this.#held.delete(cid);
      this.#unheld.delete(cid);
    }
    return [...heard.values()];
  }
}
