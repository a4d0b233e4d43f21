import { setTimeout as delay } from 'node:timers/promises';
import { FleetTarget } from '../../policy/fleet-target.ts';
import type { FleetLook } from '../../swarm/fleet-watch.ts';
import type { LocalSwarm, SwarmMember } from './local-swarm.ts';

/** Milliseconds for which a node that is not needed stays: a process starts within seconds, unlike a machine. */
export const LOCAL_COOL_DOWN_MS = 30_000;

export interface FleetKeeperInit {
  /** Nodes there are at least, and at most. */
  readonly min: number;
  readonly max: number;
  /** Milliseconds between two looks. */
  readonly tickMs: number;
  /** @default 30000 */
  readonly coolDownMs?: number | undefined;
  /** Hears of each change before it is made. */
  readonly onChange: (change: FleetChange) => void;
}

/** `wanted` nodes where there were `present`. */
export interface FleetChange {
  readonly present: number;
  readonly wanted: number;
}

export interface FleetKeeperComponents {
  readonly swarm: Pick<LocalSwarm, 'nodes' | 'startNode' | 'stopNode'>;
  readonly look: (nowMs: number) => FleetLook;
}

/** Starts and stops the nodes of a local swarm as its demand asks for: what a provisioner does with machines, on one of them. */
export class FleetKeeper {
  readonly #init: FleetKeeperInit;
  readonly #components: FleetKeeperComponents;
  readonly #target: FleetTarget;

  constructor(components: FleetKeeperComponents, init: FleetKeeperInit) {
    this.#components = components;
    this.#init = init;
    const { min, max, coolDownMs = LOCAL_COOL_DOWN_MS } = init;
    this.#target = new FleetTarget({ min, max, coolDownMs });
  }

  /** Resolves when the signal aborts. @throws what a node that could not start said. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#look(signal);
      await delay(this.#init.tickMs, undefined, { signal }).catch(() => {
        // It ends at the next look at the signal.
      });
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { swarm, look } = this.#components;
    const nowMs = Date.now();
    const { hosts, spare } = look(nowMs);
    const present = swarm.nodes.length;
    const wanted = this.#target.next(hosts, present, nowMs);
    if (wanted > present) {
      this.#init.onChange({ present, wanted });
      const starting = Array.from({ length: wanted - present }, () => swarm.startNode(signal));
      await Promise.all(starting);
      return;
    }
    const ids = new Set<string>(spare);
    // The last that came is the first that goes.
    const going = swarm.nodes.filter(({ id }: SwarmMember) => ids.has(id)).slice(wanted - present);
    if (wanted === present || going.length === 0) return;
    this.#init.onChange({ present, wanted: present - going.length });
    await Promise.all(going.map(({ name }) => swarm.stopNode(name)));
  }
}
