import type { LoadReport, NodeId, VersionCid } from '../../protocols/types.ts';
import { median } from '../policy/median.ts';
import { HolderDoubts } from '../policy/scaling/holder-doubt.ts';
import type {
  ReplicaView as PlannedReplica,
  ScalingNode,
  ScalingView,
  VersionView,
} from '../policy/scaling/scaling-view.ts';
import { fitnessOf, isStaying } from './node-fitness.ts';
import type { SwarmPeer } from './peer.ts';
import { estimatePopulation } from './population.ts';
import {
  MAX_ORIGINS,
  type ReadManifest,
  type ScaledVersion,
  ScaledVersions,
  type VersionOrigin,
} from './scaled-versions.ts';
import type { NodeView, ReplicaView } from './view.ts';

/** Nodes up to which each hears of all: then nobody has to estimate, and it costs less than one request a second. */
const SMALL_SWARM_NODES = 64;

/** Milliseconds of hearing all after which all have been heard of: a node speaks anew to whoever comes, and every 10 s by default. */
const HEARD_ALL_MS = 10_000;

interface Since {
  readonly state: PlannedReplica['state'];
  readonly atMs: number;
}

/** Puts together, from gossip and what is looked up, the view that a plan is made of. */
export class ScalingWatch {
  readonly #peer: SwarmPeer;
  readonly #versions: ScaledVersions;
  readonly #listening: readonly (() => void)[];
  readonly #doubts = new HolderDoubts();
  /** Since when each node's part in a version has been as it is. */
  #since = new Map<string, Since>();
  /** Since when all of a small swarm is heard; undefined while it is not. */
  #hearsAllSinceMs: number | undefined;

  constructor(peer: SwarmPeer, readManifest: ReadManifest) {
    this.#peer = peer;
    this.#versions = new ScaledVersions(peer, readManifest);
    this.#listening = [
      peer.recruits.onNotice((notice) => this.#versions.recruit(notice)),
      peer.liveness.onDeath((node, held) => {
        if (!peer.liveness.hasMet(node)) this.#doubts.miss(node, held, Date.now());
      }),
    ];
  }

  /** True while something is asked about versions that were heard of. */
  get asking(): boolean {
    return this.#versions.asking;
  }

  /** A version that is scaled; undefined when it is not, or not yet known to be. */
  version(cid: VersionCid): ScaledVersion | undefined {
    return this.#versions.version(cid);
  }

  /** All that is known now. A swarm that is small enough is heard whole while it is asked. */
  view(nowMs: number): ScalingView {
    const { view, libp2p } = this.#peer;
    const nodes = view.nodes(nowMs);
    const population = this.#population(nodes.length, estimatePopulation(libp2p), nowMs);
    const replicas = Map.groupBy(view.replicas(nowMs), ({ version }) => version.cid);
    for (const holders of replicas.values()) {
      for (const origin of originsOf(holders)) this.#versions.get(origin);
    }
    this.#doubts.see(
      nodes.map(({ announcement }) => announcement.node),
      nowMs,
    );
    const since = this.#since;
    this.#since = new Map();
    const versions = [...replicas].flatMap(([cid, holders]): VersionView[] => {
      const version = this.version(cid);
      return version === undefined ? [] : [this.#versionView(version, holders, since, nowMs)];
    });
    return { versions, nodes: scalingNodes(nodes, replicas, versions), population };
  }

  /** Milliseconds for which a node's part in a version has been as it is, as far as views were made; 0 when that is new. */
  forMs(node: NodeId, cid: VersionCid, nowMs: number): number {
    const since = this.#since.get(`${node} ${cid}`);
    return since === undefined ? 0 : nowMs - since.atMs;
  }

  async stop(): Promise<void> {
    for (const end of this.#listening) end();
    await this.#versions.stop();
  }

  /**
   * How many nodes there are. The DHT's estimate holds bootstrap servers and those who have died of late too: where a few are all,
   * whoever counts on them waits for others who will never act.
   */
  #population(known: number, estimated: number, nowMs: number): number {
    const most = Math.max(known, estimated);
    if (most > SMALL_SWARM_NODES) {
      this.#hearsAllSinceMs = undefined;
      return most;
    }
    this.#peer.gossip.joinAll();
    this.#peer.demand.joinAll();
    this.#hearsAllSinceMs ??= nowMs;
    return nowMs - this.#hearsAllSinceMs >= HEARD_ALL_MS ? known : most;
  }

  #versionView(
    version: ScaledVersion,
    replicas: readonly ReplicaView[],
    since: ReadonlyMap<string, Since>,
    nowMs: number,
  ): VersionView {
    const { cid, deployment, memoryBytes, fileBytes } = version;
    const spokenAtMs = this.#peer.recruits.spokenAtMs(version);
    return {
      cid,
      deployment,
      memoryBytes,
      fileBytes,
      reports: this.#peer.demand.reports(cid),
      replicas: replicas.filter(isThere).map(({ node, version: { state, load } }) => {
        const id = node.announcement.node;
        const key = `${id} ${cid}`;
        const before = since.get(key);
        const now = before?.state === state ? before : { state, atMs: nowMs };
        this.#since.set(key, now);
        const confirmed = this.#isConfirmed(id, cid, nowMs);
        const forMs = nowMs - now.atMs;
        return { node: id, state, requestsPerS: requestsPerS(load), forMs, confirmed };
      }),
      phantoms: this.#doubts.phantoms(cid, nowMs),
      noticeAgeMs: spokenAtMs === 0 ? null : nowMs - spokenAtMs,
    };
  }

  #isConfirmed(node: NodeId, cid: VersionCid, nowMs: number): boolean {
    const { id, liveness } = this.#peer;
    return node === id || liveness.hasMet(node) || this.#doubts.isEstablished(node, cid, nowMs);
  }
}

/** The models that a version's holders say it is of, those that most say first: one that lies is alone with it. */
function originsOf(holders: readonly ReplicaView[]): VersionOrigin[] {
  const models = Map.groupBy(holders, ({ version: { publisher, name } }) => `${publisher}/${name}`);
  return [...models.values()]
    .toSorted((a, b) => b.length - a.length)
    .slice(0, MAX_ORIGINS)
    .flatMap(([holder]) => {
      if (holder === undefined) return [];
      const { publisher, name, cid } = holder.version;
      return [{ publisher, name, cid }];
    });
}

/** What a node that goes has in memory is soon gone; what it has on its disk is there for others. */
function isThere({ node, version: { state } }: ReplicaView): boolean {
  return isStaying(node.announcement) || (state !== 'ready' && state !== 'loading');
}

/** Null before anything was measured. */
function requestsPerS({ slots, serviceMs }: LoadReport): number | null {
  return serviceMs === null || serviceMs === 0 ? null : (1_000 * Math.max(1, slots)) / serviceMs;
}

function scalingNodes(
  nodes: readonly NodeView[],
  replicas: ReadonlyMap<VersionCid, readonly ReplicaView[]>,
  versions: readonly VersionView[],
): ScalingNode[] {
  const serving = new Map<NodeId, number>();
  for (const { node, version } of [...replicas.values()].flat()) {
    const inMemory = version.state === 'ready' || version.state === 'loading';
    const id = node.announcement.node;
    if (inMemory) serving.set(id, (serving.get(id) ?? 0) + 1);
  }
  const speeds = nodeSpeeds(replicas.values());
  const busy = busyShares(versions);
  return nodes.map(({ announcement }) => {
    const { node, owner, zone, costPerHour } = announcement;
    return {
      ...{ node, owner, zone },
      ...fitnessOf(announcement),
      speed: speeds.get(node) ?? null,
      costPerHour: costPerHour ?? null,
      serving: serving.get(node) ?? 0,
      busyShare: busy.get(node) ?? null,
    };
  });
}

/** Of each node, what its versions were asked for as a share of what it can do: each has all of the node when it is asked alone. */
function busyShares(versions: readonly VersionView[]): ReadonlyMap<NodeId, number> {
  const shares = new Map<NodeId, number>();
  for (const { replicas, reports } of versions) {
    const offered = new Map(reports.map(({ reporter, stable }) => [reporter, stable.arrivalsPerS]));
    for (const { node, state, requestsPerS: perS } of replicas) {
      if (state !== 'ready' || perS === null) continue;
      const share = (offered.get(node) ?? 0) / perS;
      shares.set(node, Math.min(1, (shares.get(node) ?? 0) + share));
    }
  }
  return shares;
}

/** Times as fast as the others that serve the same versions, by the geometric mean over those that several serve. */
function nodeSpeeds(versions: Iterable<readonly ReplicaView[]>): ReadonlyMap<NodeId, number> {
  const logs = new Map<NodeId, number[]>();
  for (const replicas of versions) {
    const measured = replicas.flatMap(({ node, version: { state, load } }) => {
      const perS = requestsPerS(load);
      return state !== 'ready' || perS === null ? [] : [{ id: node.announcement.node, perS }];
    });
    if (measured.length < 2) continue;
    const usual = median(measured.map(({ perS }) => perS)) ?? 1;
    for (const { id, perS } of measured) {
      logs.set(id, [...(logs.get(id) ?? []), Math.log(perS / usual)]);
    }
  }
  return new Map(
    [...logs].map(([id, values]) => {
      return [id, Math.exp(values.reduce((sum, value) => sum + value, 0) / values.length)];
    }),
  );
}
