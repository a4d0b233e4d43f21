import { ConfigError } from '../../../protocols/errors.ts';
import type { CommandOptions } from '../command-spec.ts';
import { parseInteger } from '../config.ts';
import { MAX_LOCAL_NODES } from './local-swarm.ts';

/** Enough that a node can die and two still share the work. */
const DEFAULT_LOCAL_NODES = 3;

/** What `swarm up` was asked to do. */
export interface UpOptions {
  readonly nodes: number;
  /** Nodes there may be while demand asks for more; as many as `nodes` where their number does not follow. */
  readonly maxNodes: number;
  /** Publish the bundled models, run them, kill a node. */
  readonly demo: boolean;
  /** End when that is done. */
  readonly once: boolean;
}

/**
 * Reads the options of `swarm up`.
 *
 * @throws {ERR_CONFIG} when the number of nodes is out of range, or leaves nobody to take over.
 */
export function parseUpOptions(options: CommandOptions): UpOptions {
  const { nodes: text, maxNodes: mostText } = options;
  const nodes =
    text === undefined
      ? DEFAULT_LOCAL_NODES
      : parseInteger(String(text), '--nodes', [1, MAX_LOCAL_NODES]);
  const maxNodes =
    mostText === undefined
      ? nodes
      : parseMaxNodes(String(mostText), { nodes, isDefault: text === undefined });
  const demo = options['demo'] === true;
  if (demo && nodes < 2) {
    throw new ConfigError(
      `--nodes is ${nodes}, expected at least 2 with --demo: it kills one, and another takes over`,
    );
  }
  return { nodes, maxNodes, demo, once: options['once'] === true };
}

/** Fewer than start is what comes of not knowing how many do: the message says it, and the way out. */
function parseMaxNodes(
  text: string,
  { nodes, isDefault }: { readonly nodes: number; readonly isDefault: boolean },
): number {
  const isBelow = /^[1-9]\d*$/.test(text) && Number(text) < nodes;
  if (!isBelow) return parseInteger(text, '--max-nodes', [nodes, MAX_LOCAL_NODES]);
  const why = isDefault
    ? `as many as start when --nodes is not given; give --nodes too, ${text} or fewer`
    : `as many as --nodes starts`;
  throw new ConfigError(`--max-nodes is ${text}, expected at least ${nodes}, ${why}`);
}
