import { BoundedMap } from '../../protocols/bounded-map.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { claimBackoffMs } from '../../src/policy/claim-backoff.ts';

/** Versions remembered; the one that failed longest ago goes first. */
const MAX_REMEMBERED = 1_024;

interface Failed {
  readonly times: number;
  readonly untilMs: number;
}

/** Versions that could not be brought up here: they are left to others for a while, for longer each time. */
export class FailedClaims {
  readonly #failed = new BoundedMap<VersionCid, Failed>(MAX_REMEMBERED);

  add(cid: VersionCid, nowMs: number): void {
    const times = (this.#failed.get(cid)?.times ?? 0) + 1;
    this.#failed.set(cid, { times, untilMs: nowMs + claimBackoffMs(times) });
  }

  /** It came up: what was is forgotten. */
  forget(cid: VersionCid): void {
    this.#failed.delete(cid);
  }

  has(cid: VersionCid, nowMs: number): boolean {
    const failed = this.#failed.get(cid);
    return failed !== undefined && nowMs < failed.untilMs;
  }
}
