import type { Daemon } from '../support/swarm-command.ts';

/** What happens to a node: `kill` and `stop` end it, and it comes back; `freeze` lets it stand still for a while. */
export const DISTURBANCES = ['kill', 'kill', 'stop', 'freeze'] as const;

export type Disturbance = (typeof DISTURBANCES)[number];

/** Milliseconds that a node stays away, and that it stands still, at most. */
const MAX_AWAY_MS = 3_000;
const MAX_FROZEN_MS = 8_000;

/** One node of the load: the process that runs now in its folder, and whether it can be counted on. */
export interface LoadNode {
  readonly name: string;
  /** False for the one whose memory is judged over the whole run: it is never ended. */
  readonly mortal: boolean;
  daemon: Daemon;
  /** True while something happens to it, until it is READY again. */
  disturbed: boolean;
}

export interface Planned {
  readonly node: LoadNode;
  readonly kind: Disturbance;
  readonly forMs: number;
}

/** What happens next, and to whom: never to the last node that is well. Undefined when nothing may. */
export function planDisturbance(
  nodes: readonly LoadNode[],
  random: () => number,
): Planned | undefined {
  const well = nodes.filter(({ disturbed }) => !disturbed);
  if (well.length < 2) return undefined;
  const node = well[Math.floor(random() * well.length)];
  const drawn = DISTURBANCES[Math.floor(random() * DISTURBANCES.length)];
  if (node === undefined || drawn === undefined) return undefined;
  const kind = node.mortal ? drawn : 'freeze';
  const forMs = random() * (kind === 'freeze' ? MAX_FROZEN_MS : MAX_AWAY_MS);
  return { node, kind, forMs };
}
