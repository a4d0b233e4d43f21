import { describe, expect, it } from 'vitest';
import type { Answer, Manifest } from '../../../../protocols/manifest/index.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import { readAnswers } from '../../../../src/client/answer-reader.ts';
import { refusal as refusalOf } from '../../../support/refusal.ts';

const LABELS = ['cat', 'dog', 'owl'];

function manifestOf(answer: Answer | undefined, classLabels?: readonly string[]): Manifest {
  return {
    schema: 1,
    entry: 'model.onnx',
    files: [],
    inputs: [],
    outputs: [],
    deployment: {},
    metadata: {},
    answer,
    classLabels,
  };
}

function refusal(message: string | RegExp): unknown {
  return refusalOf('ERR_INVALID_MODEL', message);
}

describe('readAnswers', () => {
  it('gives none when the manifest does not say how to read the outputs', () => {
    expect(readAnswers(manifestOf(undefined), { p: Tensor.from('FP32', [1], [1]) })).toEqual([]);
  });
});

describe('readAnswers by argmax', () => {
  const manifest = manifestOf({ kind: 'argmax', output: 'p' }, LABELS);
  const read = (tensor: Tensor, of = manifest) => readAnswers(of, { p: tensor });

  it('gives the label of the largest value and that value, a row at a time', () => {
    expect(read(Tensor.from('FP32', [2, 3], [0.25, 0.5, 0.25, -1, -3, -2]))).toEqual([
      { text: 'dog', confidence: 0.5 },
      { text: 'cat', confidence: -1 },
    ]);
  });

  it('reads one row without a batch, rows with axes of 1 between, and no row at all', () => {
    expect(read(Tensor.from('FP64', [3], [0, 0, 7]))).toEqual([{ text: 'owl', confidence: 7 }]);
    expect(read(Tensor.from('FP16', [1, 1, 3], [2, 1, 0]))).toEqual([
      { text: 'cat', confidence: 2 },
    ]);
    expect(read(Tensor.from('FP32', [0, 3], []))).toEqual([]);
  });

  it('takes the first of equal values, and reads integers of any width', () => {
    expect(read(Tensor.from('INT64', [1, 3], [5n, 9n, 9n]))).toEqual([
      { text: 'dog', confidence: 9 },
    ]);
  });

  it('gives the index where classes have no names', () => {
    const unnamed = manifestOf({ kind: 'argmax', output: 'p' });
    expect(read(Tensor.from('UINT8', [1, 4], [0, 0, 0, 9]), unnamed)).toEqual([
      { text: '3', confidence: 9 },
    ]);
  });

  it('passes over what is not a number', () => {
    const { NaN: none, NEGATIVE_INFINITY: low } = Number;
    expect(read(Tensor.from('FP32', [1, 3], [none, low, none]))).toEqual([
      { text: 'dog', confidence: low },
    ]);
    expect(() => read(Tensor.from('FP32', [2, 3], [1, 2, 3, none, none, none]))).toThrow(
      refusal(/^output 'p' of shape \[2, 3\] has no number in row 1/),
    );
  });

  it.each([
    [[1, 2], "output 'p' has shape [1, 2], expected a last axis of 3, one for each class label"],
    [[1, 2, 3], "output 'p' has shape [1, 2, 3], expected [batch, n] or [n]"],
    [[], "output 'p' has shape [], expected [batch, n] or [n]"],
  ])('refuses shape %j', (shape, message) => {
    const count = shape.reduce((product, dimension) => product * dimension, 1);
    const tensor = Tensor.from(
      'FP32',
      shape,
      Array.from({ length: count }, () => 0),
    );
    expect(() => read(tensor)).toThrow(refusal(message));
  });

  it('refuses another datatype and a missing output, also one that every object has', () => {
    expect(() => read(Tensor.from('BYTES', [1], ['cat']))).toThrow(
      refusal(/^output 'p' has datatype BYTES, expected numbers/),
    );
    const inherited = manifestOf({ kind: 'argmax', output: 'toString' }, LABELS);
    expect(() => read(Tensor.from('FP32', [1, 3], [1, 2, 3]), inherited)).toThrow(
      refusal("output 'toString' is missing, which the manifest's answer reads; found 'p'"),
    );
    expect(() => readAnswers(manifest, {})).toThrow(refusal(/found none$/));
  });
});

describe('readAnswers by label', () => {
  const manifest = manifestOf({ kind: 'label', output: 'label', confidence: 'p' });
  const labels = Tensor.from('BYTES', [2], ['cat', 'owl']);

  it('gives the label itself and the largest value of its row', () => {
    const p = Tensor.from('FP32', [2, 3], [0.5, 0.25, 0.25, 0, 0.25, 0.75]);
    expect(readAnswers(manifest, { label: labels, p })).toEqual([
      { text: 'cat', confidence: 0.5 },
      { text: 'owl', confidence: 0.75 },
    ]);
  });

  it('reads one confidence a row, a column of labels, and a label without a batch', () => {
    const column = Tensor.from('BYTES', [2, 1], ['cat', 'owl']);
    const p = Tensor.from('FP32', [2], [0.5, 0.75]);
    expect(readAnswers(manifest, { label: column, p })).toEqual([
      { text: 'cat', confidence: 0.5 },
      { text: 'owl', confidence: 0.75 },
    ]);
    const scalar = Tensor.from('BYTES', [], ['dog']);
    expect(readAnswers(manifest, { label: scalar, p })).toEqual([
      { text: 'dog', confidence: 0.75 },
    ]);
  });

  it('gives no confidence when the manifest names none, and no answer for an empty batch', () => {
    const bare = manifestOf({ kind: 'label', output: 'label' });
    expect(readAnswers(bare, { label: labels })).toEqual([
      { text: 'cat', confidence: null },
      { text: 'owl', confidence: null },
    ]);
    const none = { label: Tensor.from('BYTES', [0], []), p: Tensor.from('FP32', [0, 3], []) };
    expect(readAnswers(manifest, none)).toEqual([]);
  });

  it('refuses labels that are no strings, several labels a row, and scores of another batch', () => {
    const p = Tensor.from('FP32', [3], [1, 2, 3]);
    expect(() => readAnswers(manifest, { label: p, p })).toThrow(
      refusal(/^output 'label' has datatype FP32, expected BYTES/),
    );
    const wide = Tensor.from('BYTES', [1, 2], ['cat', 'owl']);
    expect(() => readAnswers(manifest, { label: wide, p })).toThrow(
      refusal("output 'label' has shape [1, 2], expected [batch], a label for each row"),
    );
    expect(() => readAnswers(manifest, { label: labels, p })).toThrow(
      refusal("output 'p' has shape [3], expected a first axis of 2, as 'label' has"),
    );
  });
});

describe('readAnswers by ranking', () => {
  const answer = { kind: 'ranking', output: 'best', scores: 'p' } as const;
  const best = Tensor.from('INT64', [2, 3], [2n, 0n, 1n, 1n, 2n, 0n]);
  const p = Tensor.from('FP32', [2, 3], [0.75, 0.25, 0, 1, 0.5, 0.25]);

  it('gives the labels best first with their scores, the first of them as the answer', () => {
    expect(readAnswers(manifestOf({ ...answer, top: 2 }, LABELS), { best, p })).toEqual([
      {
        text: 'owl',
        confidence: 0.75,
        ranked: [
          { label: 'owl', score: 0.75 },
          { label: 'cat', score: 0.25 },
        ],
      },
      {
        text: 'dog',
        confidence: 1,
        ranked: [
          { label: 'dog', score: 1 },
          { label: 'owl', score: 0.5 },
        ],
      },
    ]);
  });

  it('gives three when the manifest does not say how many, and indices where nothing has a name', () => {
    const long = Tensor.from('INT32', [1, 4], [7, 5, 3, 1]);
    const bare = manifestOf({ kind: 'ranking', output: 'best' });
    expect(readAnswers(bare, { best: long })).toEqual([
      {
        text: '7',
        confidence: null,
        ranked: ['7', '5', '3'].map((label) => ({ label, score: null })),
      },
    ]);
  });

  it('refuses an index that has no label, scores of another shape, and an empty ranking', () => {
    const manifest = manifestOf(answer, LABELS);
    for (const index of [3, -1]) {
      const off = Tensor.from('INT32', [1, 1], [index]);
      expect(() =>
        readAnswers(manifest, { best: off, p: Tensor.from('FP32', [1, 1], [1]) }),
      ).toThrow(
        refusal(
          `output 'best' holds index ${index}, expected an integer from 0 to 2, one of the class labels`,
        ),
      );
    }
    expect(() =>
      readAnswers(manifest, { best, p: Tensor.from('FP32', [3, 2], [1, 2, 3, 4, 5, 6]) }),
    ).toThrow(refusal("output 'p' has shape [3, 2], expected [2, 3], as 'best' has"));
    const empty = manifestOf({ kind: 'ranking', output: 'best' }, LABELS);
    expect(() => readAnswers(empty, { best: Tensor.from('INT32', [1, 0], []) })).toThrow(
      refusal("output 'best' has shape [1, 0], expected at least one index for each row"),
    );
  });
});
