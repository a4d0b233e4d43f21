import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../../src/sim/random.ts';
import { endOf, poissonTraffic, randomPauses, workingMs } from '../../../../src/sim/traffic.ts';

const PAUSED = {
  name: 'n',
  serviceMs: 10,
  pauses: [
    { fromMs: 100, untilMs: 150 },
    { fromMs: 160, untilMs: 200 },
  ],
};

describe('endOf', () => {
  it.each([
    [0, 100, 100],
    [0, 101, 151],
    [120, 5, 155],
    [90, 25, 205],
    [200, 10, 210],
  ])('has work begun at %i ms that takes %i ms end at %i ms', (beginMs, workMs, endMs) => {
    expect(endOf(PAUSED, beginMs, workMs)).toBe(endMs);
  });

  it('leaves exactly the work between begin and end, whatever the pauses', () => {
    fc.assert(
      fc.property(fc.nat(1_000), fc.nat(500), fc.nat(2 ** 31), (beginMs, workMs, seed) => {
        const pauses = randomPauses(3_000, 100, [10, 60], seededRandom(seed));
        const node = { ...PAUSED, pauses };
        expect(workingMs(node, beginMs, endOf(node, beginMs, workMs))).toBeCloseTo(workMs, 6);
      }),
    );
  });
});

describe('poissonTraffic', () => {
  it('asks for the share of the capacity that was named', () => {
    const nodes = [PAUSED, { name: 'slow', serviceMs: 100, pauses: [] }];
    const init = { nodes, load: 0.5, clients: 3, warmUpMs: 0, countedMs: 200_000 };
    const { arrivals, durationMs } = poissonTraffic(init, seededRandom(1));
    expect(arrivals.length / (0.5 * durationMs * (1 / 10 + 1 / 100))).toBeCloseTo(1, 1);
    expect(new Set(arrivals.map(({ client }) => client))).toEqual(new Set([0, 1, 2]));
  });
});
