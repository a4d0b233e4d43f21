import { describe, expect, it } from 'vitest';
import { PROBES } from '../../../../../src/policy/probe-plan.ts';
import { seededRandom } from '../../../../../src/sim/random.ts';
import { drawNodes } from '../../../../../src/sim/scaling/node-draw.ts';

/** Eight nodes, of which the first is nine times as fast as the others. */
const NODES = [0, 1, 2, 3, 4, 5, 6, 7];
const speedOf = (node: number) => (node === 0 ? 9 : 1);

/** Share of 2 000 draws that the fast node is in. */
function shareOfFast(pooled: boolean): number {
  const random = seededRandom(1);
  let hits = 0;
  for (let round = 0; round < 2_000; round += 1) {
    if (drawNodes(NODES, { pooled, speedOf, random }).includes(0)) hits += 1;
  }
  return hits / 2_000;
}

describe('drawNodes', () => {
  const random = () => 0.99;

  it('looks at all of five, and draws three of six, none of them twice', () => {
    const init = { pooled: false, speedOf, random };
    expect(drawNodes(NODES.slice(0, 5), init)).toEqual([0, 1, 2, 3, 4]);
    expect(new Set(drawNodes(NODES.slice(0, 6), init)).size).toBe(PROBES);
  });

  it('draws by speed, and those of a pool, which was drawn by speed, all alike', () => {
    expect(shareOfFast(false)).toBeGreaterThan(0.85);
    expect(Math.abs(shareOfFast(true) - PROBES / NODES.length)).toBeLessThan(0.03);
  });
});
