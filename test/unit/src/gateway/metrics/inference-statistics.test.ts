import { describe, expect, it } from 'vitest';
import { InferenceStatistics } from '../../../../../src/gateway/metrics/inference-statistics.ts';
import type { ServedModel } from '../../../../../src/gateway/models/model-directory.ts';
import type { AnsweredRequest } from '../../../../../src/gateway/request-outcome.ts';

const served = (version: string) =>
  ({ asked: 'm', name: 'p/m', cid: 'bafy1', version }) as ServedModel;

const ANSWER: AnsweredRequest = {
  ...{ protocol: 'rest', rows: 1, latencyMs: 20, requestBytes: 100, responseBytes: 50 },
  ...{ node: { queueMs: 2, executeMs: 5, failedAttempts: 0 }, cacheMs: undefined },
};

describe('InferenceStatistics', () => {
  it('tell a version that was rolled back to by the sequence that it has now', () => {
    const statistics = new InferenceStatistics();
    statistics.answered(served('1'), ANSWER);
    expect(statistics.of(served('3'))).toMatchObject({ name: 'm', version: '3' });
    statistics.answered(served('3'), ANSWER);
    const success = { count: 2 };
    expect(statistics.all()).toMatchObject([
      { name: 'p/m', version: '3', inference_stats: { success } },
    ]);
  });

  it('tell who asks by CID that CID, and all others the sequence', () => {
    const statistics = new InferenceStatistics();
    statistics.answered(served('3'), ANSWER);
    statistics.answered(served('bafy1'), ANSWER);
    expect(statistics.of(served('bafy1')).version).toBe('bafy1');
    expect(statistics.all().map(({ version }) => version)).toEqual(['3']);
  });
});
