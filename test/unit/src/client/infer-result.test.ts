import { describe, expect, it } from 'vitest';
import { Tensor } from '../../../../protocols/tensor.ts';
import type { NodeId, OwnerId, VersionCid } from '../../../../protocols/types.ts';
import { type InferResult, outputsOf, splitResult } from '../../../../src/client/infer-result.ts';

function resultOf(outputs: Readonly<Record<string, Tensor>>): InferResult {
  return {
    outputs,
    version: 'bafyversion' as VersionCid,
    sequence: 1,
    channel: 'stable',
    fellBack: false,
    node: 'node' as NodeId,
    owner: 'owner' as OwnerId,
    latencyMs: 3,
    queueMs: 1,
    executeMs: 1,
    failedAttempts: [],
  };
}

describe('outputsOf', () => {
  it('gives the outputs one by one, in their order', () => {
    const [b, a] = [Tensor.of('FP32', [1]), Tensor.of('BYTES', ['x'])];
    expect(outputsOf(resultOf({ b, a }))).toEqual([
      { name: 'b', tensor: b },
      { name: 'a', tensor: a },
    ]);
  });
});

describe('splitResult', () => {
  it('gives each request its own rows of every output, and all else of the answer', () => {
    const whole = resultOf({
      scores: Tensor.of('FP32', [[1], [2], [3]]),
      label: Tensor.of('BYTES', ['a', 'bc', '']),
    });
    const results = splitResult(whole, [1, 2]);
    expect(results.map(({ outputs }) => outputs['scores']?.toNestedArray())).toEqual([
      [[1]],
      [[2], [3]],
    ]);
    expect(results.map(({ outputs }) => outputs['label']?.strings())).toEqual([['a'], ['bc', '']]);
    expect(results[1]).toMatchObject({ node: 'node', latencyMs: 3 });
  });

  it.each([
    ['another number of rows', Tensor.of('FP32', [1, 2]), '[2]'],
    ['no rows', Tensor.of('FP32', 1), '[]'],
  ])('refuses an output of %s', (_, tensor, shape) => {
    expect(() => splitResult(resultOf({ y: tensor }), [1, 2])).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_MODEL',
        message: `output 'y' has shape ${shape}, expected a first dimension of 3, a row for each of the batch`,
      }),
    );
  });
});
