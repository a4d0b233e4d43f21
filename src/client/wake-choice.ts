import type { VersionCid } from '../../protocols/types.ts';
import { rankForWake } from '../policy/scaling/wake-choice.ts';
import { isWorthWaking, type LoadUnderWay } from '../policy/wake-turn.ts';
import type { ReplicaView } from '../swarm/view.ts';
import type { LinkedCandidate } from './node-directory.ts';

export interface WakeRequest {
  readonly cid: VersionCid;
  /** Milliseconds for which the call has been waiting: a load that it sees may take as long already. */
  readonly forMs: number;
}

/** The node to ask for a version that nobody serves; undefined when one loads it already that is worth waiting for. */
export function chooseToWake(
  cold: readonly LinkedCandidate[],
  holders: readonly ReplicaView[],
  { cid, forMs }: WakeRequest,
): LinkedCandidate | undefined {
  const [first] = rankForWake(cold, cid);
  if (first === undefined) return undefined;
  const underWay = loadsOf(holders).map((load) => ({ ...load, forMs }));
  return isWorthWaking(first.etaMs, underWay) ? first : undefined;
}

/** The loads under way on nodes that will take requests. */
export function loadsOf(holders: readonly ReplicaView[]): Pick<LoadUnderWay, 'etaMs'>[] {
  return holders
    .filter(({ node, version }) => {
      return version.state === 'loading' && node.announcement.state === 'serving';
    })
    .map(({ version }) => ({ etaMs: version.etaMs ?? null }));
}
