import { describe, expect, test } from 'vitest';
import { morePays, oneThreadDoes, spreadPays } from '../../../../src/policy/instance-layout.ts';

describe('oneThreadDoes', () => {
  test.each([
    // A model that threads do not help.
    { wideMs: 10, narrowMs: 11, objectiveMs: null, does: true },
    // An encoder of 23 ms that two threads answer in 14: who asks alone would notice.
    { wideMs: 14, narrowMs: 23, objectiveMs: null, does: false },
    { wideMs: 14, narrowMs: 23, objectiveMs: 23, does: true },
    { wideMs: 14, narrowMs: 23, objectiveMs: 22, does: false },
  ])(
    'is $does at $wideMs ms wide, $narrowMs narrow, objective $objectiveMs',
    ({ does, ...times }) => {
      expect(oneThreadDoes(times)).toBe(does);
    },
  );
});

describe('morePays', () => {
  test.each([
    { from: 1, to: 2, gain: 1.9, pays: true },
    { from: 1, to: 2, gain: 1.24, pays: false },
    { from: 4, to: 8, gain: 1.25, pays: true },
    // From 4 to 6 is no doubling, and need not gain what one does.
    { from: 4, to: 6, gain: 1.15, pays: true },
    { from: 4, to: 6, gain: 1.1, pays: false },
  ])('is $pays for $gain times as much with $to instances instead of $from', (row) => {
    const before = { instances: row.from, perSecond: 100 };
    expect(morePays(before, { instances: row.to, perSecond: 100 * row.gain })).toBe(row.pays);
  });
});

describe('spreadPays', () => {
  test('wants a tenth more than one process with all threads gets done', () => {
    expect(spreadPays(100, 111)).toBe(true);
    expect(spreadPays(100, 109)).toBe(false);
  });
});
