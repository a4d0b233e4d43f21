import { BoundedMap } from '../../protocols/bounded-map.ts';
import type { NodeId, OwnerId, VersionCid } from '../../protocols/types.ts';
import { POOL_NODES, selectPool } from '../policy/node-pool.ts';
import { type NodeWish, wishesMet } from '../policy/node-wish.ts';
import { planProbes } from '../policy/probe-plan.ts';
import { MAX_WATCHED } from '../policy/watch-plan.ts';
import { ASSUMED_SERVICE_MS, type Candidate } from '../policy/routing.ts';
import type { SwarmPeer } from '../swarm/peer.ts';
import type { ReplicaView } from '../swarm/view.ts';
import type { CallClock } from './call-clock.ts';
import { NodeLink } from './node-link.ts';

/** Milliseconds after which a pool is drawn anew: nodes come and go. */
const POOL_AGE_MS = 1_000;

/** Milliseconds from the first look at a version for which the nodes that are heard of count as there before. */
const FIRST_LOOK_MS = 1_000;

/** Versions whose pools are kept. */
const MAX_POOLS = 256;

/** Milliseconds that nodes have to say how busy they are when somebody wants to know. */
const SURVEY_MS = 1_000;

/** Milliseconds that nodes have to be found again that were gone: a look may wait for its turn, and dials. */
const SEEK_MS = 3_000;

/** A request as far as what is known of a node depends on it. */
export interface RequestForm {
  readonly version: VersionCid;
  /** Elements over all inputs. */
  readonly elements: number;
  readonly prefer: NodeWish;
  /** Whether the answer is to come with a receipt. */
  readonly receipt: boolean;
}

export interface LinkedCandidate extends Candidate {
  readonly link: NodeLink;
  /** True when the node has the version on its disk and loads it when asked. */
  readonly cold: boolean;
  /** Milliseconds that loading takes by the node's own estimate; null when unknown, or when it is loaded. */
  readonly etaMs: number | null;
}

interface Pool {
  readonly nodes: ReadonlySet<NodeId>;
  readonly atMs: number;
}

/** The nodes that this client knows: its links to them, and which of them come into question for a version. */
export class NodeDirectory {
  readonly #peer: SwarmPeer;
  readonly #links = new Map<NodeId, NodeLink>();
  readonly #pools = new BoundedMap<VersionCid, Pool>(MAX_POOLS);
  /** When this client first looked for nodes of a version. */
  readonly #firstLooks = new BoundedMap<VersionCid, number>(MAX_POOLS);
  #asked = false;

  constructor(peer: SwarmPeer) {
    this.#peer = peer;
    peer.liveness.watch(() => this.#inUse());
  }

  /** The nodes that are READY for a version; when there are very many, this client's pool of them. */
  ready(form: RequestForm): LinkedCandidate[] {
    return this.#candidates(this.#peer.view.ready(form.version, Date.now()), form);
  }

  /** The nodes that have a version on their disk and load it when asked. */
  cold(form: RequestForm): LinkedCandidate[] {
    return this.#candidates(this.#peer.view.cold(form.version, Date.now()), form);
  }

  /** What holders that do not take requests yet, or not now, say of a version. */
  holders(version: VersionCid): ReplicaView[] {
    const holders = this.#peer.view.holders(version, Date.now());
    return holders.filter((holder) => holder.version.state !== 'quarantined');
  }

  /** True when nodes held a version that were found gone. */
  hasLost(version: VersionCid): boolean {
    return this.#peer.view.buriedHolders(version, Date.now()).length > 0;
  }

  /** Looks for them once more, for a bounded time: whoever is cut off, or starts again, may be back. */
  async seek(version: VersionCid, clock: CallClock): Promise<void> {
    if (this.hasLost(version))
      await within(this.#peer.liveness.seekHolders(version), SEEK_MS, clock);
  }

  /** Asks nodes how busy they are. What it returns is to be waited for; undefined where that is not worth a round trip. */
  probe(
    candidates: readonly LinkedCandidate[],
    form: RequestForm,
    clock: CallClock,
  ): Promise<void> | undefined {
    // A program that calls once needs one connection, not one to each node.
    const first = !this.#asked;
    this.#asked = true;
    const { nodes, waitMs } = planProbes(candidates, Math.random);
    if (nodes.length === 0 || first) return undefined;
    const links = candidates.filter(({ node }) => nodes.includes(node)).map(({ link }) => link);
    const answered = Promise.all(links.map((link) => link.probe(form.version)));
    return waitMs > 0 ? within(answered, waitMs, clock) : undefined;
  }

  /** Asks all of them how busy they are, dialling for it, and waits for what they say for a bounded time. */
  async survey(
    candidates: readonly LinkedCandidate[],
    form: RequestForm,
    clock: CallClock,
  ): Promise<void> {
    const answered = Promise.all(candidates.map(({ link }) => link.survey(form.version)));
    await within(answered, SURVEY_MS, clock);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.close()));
    this.#links.clear();
  }

  #inUse(): ReadonlySet<NodeId> {
    const used = [...this.#links.values()].filter(({ inUse }) => inUse);
    return new Set(used.slice(0, MAX_WATCHED).map(({ node }) => node));
  }

  #candidates(replicas: readonly ReplicaView[], form: RequestForm): LinkedCandidate[] {
    const pooled = replicas.length > POOL_NODES;
    return this.#pooled(replicas, form.version).map((replica) => ({
      ...this.#candidate(replica, form),
      pooled,
    }));
  }

  #pooled(replicas: readonly ReplicaView[], version: VersionCid): readonly ReplicaView[] {
    if (replicas.length <= POOL_NODES) return replicas;
    const nowMs = Date.now();
    let pool = this.#pools.get(version);
    if (pool === undefined || nowMs - pool.atMs > POOL_AGE_MS) {
      const chosen = selectPool(replicas.map(toPoolCandidate), this.#peer.id);
      pool = { nodes: new Set(chosen.map(({ node }) => node)), atMs: nowMs };
      this.#pools.set(version, pool);
    }
    const { nodes } = pool;
    const found = replicas.filter(({ node }) => nodes.has(node.announcement.node));
    // Those of the pool may all be gone before it is drawn anew.
    return found.length > 0 ? found : replicas.slice(0, POOL_NODES);
  }

  #candidate(
    { node, version, heardAtMs }: ReplicaView,
    form: RequestForm,
  ): Omit<LinkedCandidate, 'pooled'> {
    const { node: id, owner, zone, tags = [], devices } = node.announcement;
    const nowMs = Date.now();
    const link = this.#linkTo(id);
    const record = link.recordOf(form.version, this.#knownSinceMs(form.version, nowMs));
    // An announcement knows nothing of what this client has open, and loses to an answer that is younger.
    record.report(version.load, heardAtMs, 0);
    const providers = devices.flatMap((device) => device.providers);
    return {
      node: id,
      owner,
      zone,
      link,
      cold: version.state === 'cold',
      etaMs: version.state === 'cold' ? (version.etaMs ?? null) : null,
      load: record.load,
      loadAgeMs: record.loadAgeMs(nowMs),
      waiting: record.waiting,
      serviceMs: record.serviceMs(form.elements),
      roundTripMs: link.roundTripMs,
      bytesPerMs: link.bytesPerMs,
      coolingUntilMs: record.coolingUntilMs,
      forbiddenUntilMs: record.forbiddenUntilMs(form.receipt),
      penaltyMs: record.penaltyMs(nowMs),
      startShare: record.startShare(nowMs),
      suspect: link.suspect,
      refusedBytes: record.refusedBytes,
      wishesMet: wishesMet(form.prefer, { node: id, owner, zone, providers, tags }),
      lastSentAtMs: record.lastSentAtMs,
    };
  }

  /** Since when a node counts as known that is seen now: those of the first look are no newcomers among themselves. */
  #knownSinceMs(version: VersionCid, nowMs: number): number {
    const firstMs = this.#firstLooks.get(version) ?? nowMs;
    if (!this.#firstLooks.has(version)) this.#firstLooks.set(version, firstMs);
    return nowMs - firstMs < FIRST_LOOK_MS ? 0 : nowMs;
  }

  #linkTo(node: NodeId): NodeLink {
    let link = this.#links.get(node);
    if (link === undefined) {
      link = new NodeLink(node, this.#peer);
      this.#links.set(node, link);
    }
    return link;
  }
}

/** Waits for something for a bounded time, and not past the call's own. */
async function within(work: Promise<unknown>, ms: number, clock: CallClock): Promise<void> {
  await Promise.race([work, clock.sleep(Math.min(ms, clock.remainingMs()))]);
}

function toPoolCandidate({ node, version }: ReplicaView): {
  readonly node: NodeId;
  readonly owner: OwnerId;
  readonly zone: string;
  readonly weight: number;
} {
  const { node: id, owner, zone } = node.announcement;
  const turnMs = Math.max(0.01, version.load.serviceMs ?? ASSUMED_SERVICE_MS);
  return { node: id, owner, zone, weight: Math.max(1, version.load.slots) / turnMs };
}
