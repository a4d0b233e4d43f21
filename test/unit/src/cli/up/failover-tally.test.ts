import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../../../../protocols/types.ts';
import { FailoverTally, type LoadAnswer } from '../../../../../src/cli/up/failover-tally.ts';

const [a, b, c] = ['a', 'b', 'c'] as unknown as readonly [NodeId, NodeId, NodeId];

function answer(model: string, node: NodeId, over: Partial<LoadAnswer> = {}): LoadAnswer {
  return { model, node, failedAttempts: 0, latencyMs: 1, asBefore: true, ...over };
}

describe('FailoverTally', () => {
  it('knows the busiest node, over all models, and none before the first answer', () => {
    const tally = new FailoverTally();
    expect(tally.busiest()).toBeUndefined();
    for (const node of [a, b, b]) tally.answered(answer('digits', node));
    for (const node of [a, a]) tally.answered(answer('travel', node));
    expect(tally.busiest()).toBe(a);
  });

  it('says who took over each model of the killed node, the busiest first', () => {
    const tally = new FailoverTally();
    tally.answered(answer('digits', a));
    tally.answered(answer('travel', b));
    tally.kill(a);
    // Already on its way when the node died.
    tally.answered(answer('digits', a));
    for (const node of [b, c, c]) tally.answered(answer('digits', node));
    expect(tally.takeovers()).toEqual([{ model: 'digits', by: [c, b] }]);
  });

  it('says that nobody took over when nobody did', () => {
    const tally = new FailoverTally();
    tally.answered(answer('digits', a));
    tally.kill(a);
    expect(tally.takeovers()).toEqual([{ model: 'digits', by: [] }]);
  });

  it('counts requests, failures, retries, changed answers and the slowest since the kill', () => {
    const tally = new FailoverTally();
    tally.answered(answer('digits', a, { latencyMs: 900 }));
    tally.kill(a);
    tally.answered(answer('digits', b, { failedAttempts: 1, latencyMs: 40 }));
    tally.answered(answer('digits', b, { asBefore: false, latencyMs: 30 }));
    tally.failedWith('ERR_NO_NODE: nobody');
    tally.failedWith('ERR_NO_NODE: nobody');
    expect(tally).toMatchObject({ requests: 5, failed: 2, retried: 1, changed: 1, slowestMs: 40 });
    expect([...tally.failures]).toEqual([['ERR_NO_NODE: nobody', 2]]);
  });
});
