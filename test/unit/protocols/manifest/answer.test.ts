import { describe, expect, it } from 'vitest';
import {
  type Answer,
  answerOutputs,
  findUnknownTensors,
  strictAnswerSchema,
} from '../../../../protocols/manifest/index.ts';

const ANSWERS: readonly [answer: Answer, outputs: string[]][] = [
  [{ kind: 'argmax', output: 'p' }, ['p']],
  [{ kind: 'label', output: 'l' }, ['l']],
  [{ kind: 'label', output: 'l', confidence: 'p' }, ['l', 'p']],
  [{ kind: 'ranking', output: 'r', top: 1000 }, ['r']],
  [{ kind: 'ranking', output: 'r', scores: 's' }, ['r', 's']],
];

describe('answerOutputs', () => {
  it.each(ANSWERS)('names the outputs of %j', (answer, outputs) => {
    expect(strictAnswerSchema.parse(answer)).toEqual(answer);
    expect(answerOutputs(answer)).toEqual(outputs);
  });
});

describe('strictAnswerSchema', () => {
  it.each([
    { kind: 'ranking', output: 'r', top: 0 },
    { kind: 'ranking', output: 'r', top: 1001 },
    { kind: 'argmax', output: '' },
    { kind: 'argmax' },
    { kind: 'other', output: 'r' },
    { kind: 'argmax', output: 'p', scores: 's' },
  ])('refuses %j', (answer) => {
    expect(strictAnswerSchema.safeParse(answer).success).toBe(false);
  });
});

describe('findUnknownTensors', () => {
  const model = { inputs: [{ name: 'x' }], outputs: [{ name: 'p' }] };

  it('finds nothing where nothing is referred to, or all of it is there', () => {
    expect(findUnknownTensors({}, model)).toEqual([]);
    expect(findUnknownTensors({ answer: { kind: 'argmax', output: 'p' } }, model)).toEqual([]);
  });

  it('finds each reference to a tensor that is not there', () => {
    const answer: Answer = { kind: 'ranking', output: 'r\n', scores: 's' };
    expect(findUnknownTensors({ answer }, model)).toEqual([
      { path: ['answer'], message: "'r\ufffd' is not an output of the model" },
      { path: ['answer'], message: "'s' is not an output of the model" },
    ]);
  });
});
