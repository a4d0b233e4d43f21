import { BoundedMap } from '../../../protocols/bounded-map.ts';
import type { NodeId, VersionCid } from '../../../protocols/types.ts';
import type { ReplicaView, VersionView } from './scaling-view.ts';

/**
 * Milliseconds after which whoever is not there has been missed: who is watched is dialled within a second and buried 3.5 s later at most,
 * and as much again goes by until those who hear of it have looked themselves.
 */
const MISSED_AFTER_MS = 10_000;

/** Milliseconds for which a holder that was never there speaks against those that come after it. */
const DOUBT_MS = 60_000;

/** Of one version, that are counted; and versions of which they are. */
const MAX_PHANTOMS = 64;
const MAX_VERSIONS = 1_024;

/** As many of the confirmed holders as the unconfirmed ones count for at most. */
const MAX_UNCONFIRMED_SHARE = 0.5;

interface Doubt {
  readonly sinceMs: number;
  /** When each was found not to be there, oldest first. */
  readonly atMs: readonly number[];
}

/**
 * Which holders are known to be there, and which versions have had holders of late that never were.
 *
 * Names cost nothing: without this, whoever announces ever new ones keeps a version from being healed, each for the seconds until it is
 * missed. While nobody does, everybody is believed at once.
 */
export class HolderDoubts {
  readonly #seenAtMs = new Map<NodeId, number>();
  readonly #doubts = new BoundedMap<VersionCid, Doubt>(MAX_VERSIONS);

  /** Takes in who is heard of now; whoever is not is forgotten. */
  see(nodes: readonly NodeId[], nowMs: number): void {
    const now = new Set(nodes);
    for (const node of this.#seenAtMs.keys()) if (!now.has(node)) this.#seenAtMs.delete(node);
    for (const node of now) if (!this.#seenAtMs.has(node)) this.#seenAtMs.set(node, nowMs);
  }

  /** A node that this peer never met was looked for and is not there; who had been heard of for long has died. */
  miss(node: NodeId, held: readonly VersionCid[], nowMs: number): void {
    if (nowMs - (this.#seenAtMs.get(node) ?? nowMs) >= MISSED_AFTER_MS) return;
    for (const cid of held) {
      const { sinceMs, atMs } = this.#doubt(cid, nowMs) ?? { sinceMs: nowMs, atMs: [] };
      this.#doubts.set(cid, { sinceMs, atMs: [...atMs, nowMs].slice(-MAX_PHANTOMS) });
    }
  }

  /** Holders of a version that were not there, of late. */
  phantoms(cid: VersionCid, nowMs: number): number {
    return this.#doubt(cid, nowMs)?.atMs.filter((atMs) => nowMs - atMs < DOUBT_MS).length ?? 0;
  }

  /** Whether a node that this peer never met was heard of for so long before a version came into doubt that it would have been missed. */
  isEstablished(node: NodeId, cid: VersionCid, nowMs: number): boolean {
    const seenAtMs = this.#seenAtMs.get(node) ?? nowMs;
    return (this.#doubt(cid, nowMs)?.sinceMs ?? nowMs) - seenAtMs >= MISSED_AFTER_MS;
  }

  #doubt(cid: VersionCid, nowMs: number): Doubt | undefined {
    const doubt = this.#doubts.get(cid);
    const lastMs = doubt?.atMs.at(-1) ?? Number.NEGATIVE_INFINITY;
    if (doubt === undefined || nowMs - lastMs < DOUBT_MS) return doubt;
    this.#doubts.delete(cid);
    return undefined;
  }
}

/**
 * The replicas that count. All, until some turned out not to be there: then of the unconfirmed ones as many as will be found, going by those
 * that were looked for, and half as many as there are confirmed ones at most; who has been known for longest first.
 */
export function countedReplicas({
  replicas,
  phantoms,
}: Pick<VersionView, 'replicas' | 'phantoms'>): readonly ReplicaView[] {
  if (phantoms === 0) return replicas;
  const doubtful = replicas.filter(isDoubtful);
  const confirmed = replicas.filter((one) => isPlaced(one) && one.confirmed).length;
  // Laplace's rule of succession.
  const found = (confirmed + 1) / (confirmed + phantoms + 2);
  const count = Math.min(found * doubtful.length, MAX_UNCONFIRMED_SHARE * confirmed);
  const order = doubtful.toSorted((a, b) => b.forMs - a.forMs || (a.node < b.node ? -1 : 1));
  const dropped = new Set(order.slice(Math.floor(count)).map(({ node }) => node));
  return replicas.filter(({ node }) => !dropped.has(node));
}

/** Nodes to be looked for: unconfirmed holders of versions in doubt, drawn at random, so many at most. */
export function planMeetings(
  versions: readonly Pick<VersionView, 'replicas' | 'phantoms'>[],
  most: number,
  random: () => number,
): readonly NodeId[] {
  const inDoubt = versions.filter(({ phantoms }) => phantoms > 0);
  const unmet = new Set(inDoubt.flatMap(({ replicas }) => replicas.filter(isDoubtful)));
  const drawn = [...unmet].map(({ node }) => ({ node, place: random() }));
  const nodes = drawn.toSorted((a, b) => a.place - b.place).map(({ node }) => node);
  return [...new Set(nodes)].slice(0, most);
}

function isDoubtful(replica: ReplicaView): boolean {
  return isPlaced(replica) && !replica.confirmed;
}

function isPlaced({ state }: ReplicaView): boolean {
  return state === 'ready' || state === 'loading';
}
