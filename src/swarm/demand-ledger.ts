import { BoundedMap } from '../../protocols/bounded-map.ts';
import type { DemandDigest, VersionDemand } from '../../protocols/demand/index.ts';
import type { NodeId, VersionCid } from '../../protocols/types.ts';
import type { DemandReport } from '../policy/scaling/scaling-view.ts';

/** Versions whose demand is kept; the one heard of longest ago goes first. */
const MAX_VERSIONS = 1_024;

/** Reporters kept of one version; the one silent for longest goes first. */
const MAX_REPORTERS = 512;

interface Heard {
  readonly digest: Omit<DemandDigest, 'versions'>;
  readonly demand: VersionDemand;
  readonly heardAtMs: number;
}

/** What peers last said of the demand for each version, one word of each. Times are the local clock's: theirs may be wrong. */
export class DemandLedger {
  readonly #versions = new BoundedMap<VersionCid, Map<NodeId, Heard>>(MAX_VERSIONS);

  /** Takes in a checked digest; false when it says nothing newer of any version. */
  add({ versions, ...digest }: DemandDigest, nowMs: number): boolean {
    let isNews = false;
    for (const demand of versions) {
      const heard = this.#versions.get(demand.cid) ?? new Map<NodeId, Heard>();
      const before = heard.get(digest.reporter);
      if (before !== undefined && digest.sequence <= before.digest.sequence) continue;
      // Deleting first keeps both maps in the order of what was heard last.
      heard.delete(digest.reporter);
      heard.set(digest.reporter, { digest, demand, heardAtMs: nowMs });
      const [silent] = heard.keys();
      if (heard.size > MAX_REPORTERS && silent !== undefined) heard.delete(silent);
      this.#versions.set(demand.cid, heard);
      isNews = true;
    }
    return isNews;
  }

  /** What was said of a version, for as long as it says anything. */
  reports(cid: VersionCid, nowMs: number): DemandReport[] {
    const heard = this.#versions.get(cid);
    if (heard === undefined) return [];
    const reports: DemandReport[] = [];
    for (const [reporter, { digest, demand, heardAtMs }] of heard) {
      const ageMs = nowMs - heardAtMs;
      if (ageMs >= digest.intervalMs + digest.stableWindowMs) heard.delete(reporter);
      else {
        const { role, intervalMs } = digest;
        reports.push({ ...demand, reporter, role, ageMs, intervalMs });
      }
    }
    if (heard.size === 0) this.#versions.delete(cid);
    return reports;
  }

  /** Every version of which something was said. */
  get versions(): readonly VersionCid[] {
    return [...this.#versions.keys()];
  }
}
