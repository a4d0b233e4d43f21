import { type FleetPlan, planFleet } from '../policy/fleet-plan.ts';
import type { ScalingSettings } from '../policy/scaling/scaling-settings.ts';
import { isStaying } from './node-fitness.ts';
import type { SwarmPeer } from './peer.ts';
import { ScalingOnlooker } from './scaling-onlooker.ts';

/** How many machines a swarm has and needs, at one look. */
export interface FleetLook extends FleetPlan {
  /** Nodes that are there and stay. */
  readonly present: number;
}

/** Says how many machines the demand of a swarm takes, to whoever can start and stop some. */
export class FleetWatch {
  readonly #peer: SwarmPeer;
  readonly #onlooker: ScalingOnlooker;

  /** The peer joins all that is said of capacity, demand and shortage. */
  constructor(peer: SwarmPeer, settings: ScalingSettings) {
    this.#peer = peer;
    this.#onlooker = new ScalingOnlooker(peer, settings);
  }

  /** Asks the peers around who is there; to be awaited before the first look. */
  async survey(signal: AbortSignal): Promise<void> {
    await this.#peer.survey({ kind: 'nodes' }, { signal });
  }

  /** Looks; to be called regularly, for delays are counted from look to look. */
  look(nowMs: number): FleetLook {
    const { view, versions } = this.#onlooker.look(nowMs);
    const staying = new Set(
      this.#peer.view
        .nodes(nowMs)
        .flatMap(({ announcement }) => (isStaying(announcement) ? [announcement.node] : [])),
    );
    const nodes = view.nodes.filter(({ node }) => staying.has(node));
    const replicas = new Map(view.versions.map((version) => [version.cid, version.replicas]));
    const plan = planFleet({
      nodes,
      versions: versions.map((version) => ({
        ...version,
        holders: (replicas.get(version.cid) ?? [])
          .filter(({ node, state }) => state !== 'gone' && staying.has(node))
          .map(({ node }) => node),
      })),
    });
    return { ...plan, present: nodes.length };
  }

  async stop(): Promise<void> {
    await this.#onlooker.stop();
  }
}
