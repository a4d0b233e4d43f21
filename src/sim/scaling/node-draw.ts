import { ALL_PROBED, drawByRate } from '../../policy/probe-plan.ts';

/** What a draw among nodes, by their index, depends on. */
export interface NodeDraw {
  /** Whether they are a client's pool of many, in which each is already as likely as its speed says. */
  readonly pooled: boolean;
  readonly speedOf: (node: number) => number;
  readonly random: () => number;
}

/** The nodes whose load a client looks at before it chooses: all of few, of more some drawn by their speed. */
export function drawNodes(
  open: readonly number[],
  { pooled, speedOf, random }: NodeDraw,
): readonly number[] {
  if (open.length <= ALL_PROBED) return open;
  return drawByRate(open, (node) => (pooled ? 1 : speedOf(node)), { random });
}
