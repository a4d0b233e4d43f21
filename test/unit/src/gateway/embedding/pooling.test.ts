import { describe, expect, it } from 'vitest';
import { Tensor } from '../../../../../protocols/tensor.ts';
import { cutVector, poolVectors } from '../../../../../src/gateway/embedding/pooling.ts';

/** Two texts of two tokens at most, the second of one. */
const TOKENS = Tensor.of('FP32', [
  [
    [3, 4],
    [1, 0],
  ],
  [
    [0, 2],
    [9, 9],
  ],
]);

const plain = (vectors: readonly Float32Array[]) => vectors.map((vector) => [...vector]);

describe('poolVectors', () => {
  it.each([
    [
      'mean',
      [
        [2, 2],
        [0, 2],
      ],
    ],
    [
      'cls',
      [
        [3, 4],
        [0, 2],
      ],
    ],
    [
      'last',
      [
        [1, 0],
        [0, 2],
      ],
    ],
  ] as const)('takes the %s of the tokens that are text', (pooling, vectors) => {
    expect(plain(poolVectors(TOKENS, [2, 1], { pooling, normalize: false }))).toEqual(vectors);
  });

  it('takes what the model has pooled, of as many texts as there are', () => {
    const pooled = Tensor.of('FP64', [
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    const vectors = poolVectors(pooled, [9, 9], { pooling: 'none', normalize: false });
    expect(plain(vectors)).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  it('brings vectors to length 1, but for one without a direction', () => {
    const output = Tensor.of('FP16', [
      [3, 4],
      [0, 0],
    ]);
    const vectors = poolVectors(output, [1, 1], { pooling: 'none', normalize: true });
    expect(plain(vectors)).toEqual([
      [expect.closeTo(0.6), expect.closeTo(0.8)],
      [0, 0],
    ]);
  });

  it.each([
    ['without a vector of each token', Tensor.of('FP32', [[1, 2]]), 'mean'],
    ['with vectors of tokens, pooled', TOKENS, 'none'],
    [
      'for fewer texts',
      Tensor.of('FP32', [
        [
          [1, 2],
          [1, 2],
        ],
      ]),
      'mean',
    ],
    ['for fewer tokens', Tensor.of('FP32', [[[1, 2]], [[1, 2]]]), 'mean'],
    ['of nothing', Tensor.from('FP32', [2, 2, 0], []), 'mean'],
    ['that is not a number', Tensor.of('FP32', [[Number.NaN], [1]]), 'none'],
    ['without end', Tensor.of('FP32', [[Infinity], [1]]), 'none'],
  ] as const)('refuses an output %s', (_, output, pooling) => {
    expect(() => poolVectors(output, [2, 1], { pooling, normalize: true })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_MODEL' }),
    );
  });
});

describe('cutVector', () => {
  it('keeps the beginning, at length 1 where vectors are', () => {
    const vector = Float32Array.of(3, 4, 12);
    expect(cutVector(vector, 3, { normalize: true })).toBe(vector);
    expect([...cutVector(vector, 2, { normalize: false })]).toEqual([3, 4]);
    const unit = [expect.closeTo(0.6), expect.closeTo(0.8)];
    expect([...cutVector(vector, 2, { normalize: true })]).toEqual(unit);
  });
});
