import type { NodeId, OwnerId } from '../../protocols/types.ts';
import { planReplicas } from '../policy/scaling/plan-replicas.ts';
import { EMPTY_SCALING_MEMORY, type ScalingMemory } from '../policy/scaling/scaling-memory.ts';
import type { ScalingSettings } from '../policy/scaling/scaling-settings.ts';
import type { ScalingNode, ScalingView, VersionPlan } from '../policy/scaling/scaling-view.ts';
import { ManifestReader } from './manifest-reader.ts';
import type { SwarmPeer } from './peer.ts';
import type { ScaledVersion } from './scaled-versions.ts';
import { ScalingWatch } from './scaling-watch.ts';

/** Looks after which what gossip tells has come: before them a swarm looks empty that is not. */
export const FIRST_LOOKS = 3;

/** How a version stands, with the model it is of. */
export interface StandingVersion extends VersionPlan, Pick<ScaledVersion, 'publisher' | 'name'> {}

/** What an onlooker saw at one look. */
export interface ScalingPicture {
  readonly view: ScalingView;
  readonly versions: readonly StandingVersion[];
}

/** Plans as the nodes do and does nothing: for those who want to see how a swarm stands, or to tell others. */
export class ScalingOnlooker {
  readonly #peer: SwarmPeer;
  readonly #manifests: ManifestReader;
  readonly #watch: ScalingWatch;
  readonly #node: ScalingNode;
  readonly #settings: ScalingSettings;
  #memory: ScalingMemory = EMPTY_SCALING_MEMORY;

  /** Joins all that is said of capacity, demand and shortage. */
  constructor(peer: SwarmPeer, settings: ScalingSettings) {
    this.#peer = peer;
    this.#hearAll();
    peer.recruits.join();
    this.#manifests = new ManifestReader(peer);
    this.#watch = new ScalingWatch(peer, (cid, signal) => this.#manifests.read(cid, signal));
    this.#node = bystander(peer.id);
    this.#settings = settings;
  }

  /** True while the last look may have missed versions, about which something is still asked. */
  get asking(): boolean {
    return this.#watch.asking;
  }

  /** Looks; to be called regularly, for delays are counted from look to look. */
  look(nowMs: number): ScalingPicture {
    this.#hearAll();
    const view = this.#watch.view(nowMs);
    const plan = planReplicas(
      view,
      {
        node: this.#node,
        ...{ refused: new Set(), unfetched: new Set(), pinned: new Set() },
        ...{ loading: 0, prefetching: 0 },
        settings: this.#settings,
        memory: this.#memory,
      },
      nowMs,
      Math.random,
    );
    this.#memory = plan.memory;
    const versions = plan.versions.flatMap((version) => {
      const scaled = this.#watch.version(version.cid);
      if (scaled === undefined) return [];
      return { ...version, publisher: scaled.publisher, name: scaled.name };
    });
    return { view, versions };
  }

  /** Again with each look: topics are heard for as long as somebody needs them. */
  #hearAll(): void {
    this.#peer.gossip.joinAll();
    this.#peer.demand.joinAll();
  }

  async stop(): Promise<void> {
    await this.#watch.stop();
    await this.#manifests.close();
  }
}

/** Who takes nothing, so that no plan counts on it. */
function bystander(node: NodeId): ScalingNode {
  return {
    node,
    owner: node as string as OwnerId,
    zone: '',
    accepting: false,
    memoryFreeBytes: 0,
    providers: [],
    speed: null,
    costPerHour: null,
    serving: 0,
    busyShare: null,
    diskFreeBytes: 0,
  };
}
