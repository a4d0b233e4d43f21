import type { NodeId, VersionCid } from '../../../protocols/types.ts';
import { stableHash } from '../stable-hash.ts';
import { median } from '../median.ts';
import { PlaceLine } from './place-line.ts';
import type { ScalingNode } from './scaling-view.ts';

/** Times as likely a node that has the weights on its disk holds a version: it saves a fetch. */
const STORED_PREFERENCE = 8;

/** Times as likely a node that runs something already, and has time for more: hosts that run nothing can go. */
const IN_USE_PREFERENCE = 4;

/** Share of a node's computing from which on it has no time for more. */
const BUSY_SHARE = 0.5;

/** Bounds on what speed, and cost, speak for or against a node: claims of others, not measurements of ours. */
const MAX_SPEED_PREFERENCE = 4;
const MAX_COST_PREFERENCE = 256;

/** What a first replica of the same owner, and in the same zone, makes a further one there less likely by. */
const SAME_OWNER_PENALTY = 4;
const SAME_ZONE_PENALTY = 2;

/** Replicas from which on one more of an owner or a zone is no worse: numbers stay finite. */
const MAX_PENALISED = 16;

/** By the replicas that there are: looked up, for a ranking asks thousands of times. */
const OWNER_PENALTIES = powersOf(SAME_OWNER_PENALTY);
const ZONE_PENALTIES = powersOf(SAME_ZONE_PENALTY);

export interface RankInput {
  readonly cid: VersionCid;
  /** Those that have its weights on their disk. */
  readonly stored: ReadonlySet<NodeId>;
  /** Where replicas are already: the next ones go elsewhere. */
  readonly placed: readonly ScalingNode[];
  /** Nodes wanted in order; the rest is left out. */
  readonly count: number;
  /** The node with which the order may end: who comes after it is not asked for. @default none */
  readonly until?: NodeId | undefined;
}

/**
 * The nodes that are to hold a version, the likeliest first: the same order on every node that knows the same.
 *
 * By weighted rendezvous, then greedily apart: each next one is drawn anew with less weight for owners and zones that have
 * replicas. A node that joins or goes moves only what is its own.
 *
 * @see Schindelhauer and Schomaker, "Weighted distributed hash tables", SPAA 2005
 */
export function rankNodes(candidates: readonly ScalingNode[], input: RankInput): ScalingNode[] {
  const { cid, stored, count, until } = input;
  const usualCost = median(candidates.flatMap(({ costPerHour }) => costPerHour ?? []));
  const apart = new Spread(input.placed);
  const distanceOf = (node: ScalingNode): number =>
    rendezvousDistance(cid, node.node) / preferenceOf(node, stored.has(node.node), usualCost);
  const line = new PlaceLine(
    candidates.map((node, index) => ({ node, index, distance: distanceOf(node), placed: 0 })),
    apart,
  );
  const ranked: ScalingNode[] = [];
  while (ranked.length < count) {
    const next = line.take();
    if (next === undefined) break;
    ranked.push(next);
    if (next.node === until) break;
    apart.add(next);
  }
  return ranked;
}

/** Exponentially distributed with mean 1, and the same on every peer. */
export function rendezvousDistance(cid: VersionCid, node: NodeId): number {
  return -Math.log((stableHash(`${cid}\0${node}`) + 0.5) / 2 ** 32);
}

/** How much speaks for a node, whatever the version: 1 for a usual one. */
export function preferenceOf(
  node: ScalingNode,
  stored: boolean,
  usualCost: number | undefined,
): number {
  const speed = within(node.speed ?? 1, MAX_SPEED_PREFERENCE);
  // Squared, so that dear ones come last; who does not say what it costs is taken as usual.
  const cost =
    usualCost === undefined || node.costPerHour === null ? 1 : node.costPerHour / usualCost;
  const inUse = node.serving > 0 && (node.busyShare ?? 0) < BUSY_SHARE;
  return (
    (stored ? STORED_PREFERENCE : 1) *
    (inUse ? IN_USE_PREFERENCE : 1) *
    (speed / within(cost ** 2, MAX_COST_PREFERENCE))
  );
}

/** Where replicas are, by owner and zone. */
export class Spread {
  readonly #owners = new Map<string, number>();
  readonly #zones = new Map<string, number>();

  constructor(placed: readonly ScalingNode[]) {
    for (const node of placed) this.add(node);
  }

  add({ owner, zone }: ScalingNode): void {
    this.#owners.set(owner, (this.#owners.get(owner) ?? 0) + 1);
    // Where a node is untold is no place: such nodes have nothing in common.
    if (zone !== '') this.#zones.set(zone, (this.#zones.get(zone) ?? 0) + 1);
  }

  penaltyOf({ owner, zone }: ScalingNode): number {
    const ofOwner = Math.min(MAX_PENALISED, this.#owners.get(owner) ?? 0);
    const ofZone = Math.min(MAX_PENALISED, this.#zones.get(zone) ?? 0);
    return (OWNER_PENALTIES[ofOwner] ?? 1) * (ZONE_PENALTIES[ofZone] ?? 1);
  }
}

function within(value: number, most: number): number {
  return Number.isFinite(value) ? Math.min(most, Math.max(1 / most, value)) : 1;
}

function powersOf(base: number): readonly number[] {
  return Array.from({ length: MAX_PENALISED + 1 }, (_, exponent) => base ** exponent);
}
