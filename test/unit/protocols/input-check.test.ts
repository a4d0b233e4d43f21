import { describe, expect, it } from 'vitest';
import { checkInputs, checkOutputNames, type GivenInput } from '../../../protocols/input-check.ts';
import type { TensorSpec } from '../../../protocols/types.ts';

const IMAGE: TensorSpec = { name: 'image', datatype: 'FP32', shape: ['n', 3, null] };
const SCALE: TensorSpec = { name: 'scale', datatype: 'INT64', shape: [] };
const GOOD_IMAGE: GivenInput = { name: 'image', datatype: 'FP32', shape: [2, 3, 7] };
const GOOD_SCALE: GivenInput = { name: 'scale', datatype: 'INT64', shape: [] };

const check = (...given: readonly GivenInput[]): void => checkInputs([IMAGE, SCALE], given);

describe('checkInputs', () => {
  it('takes all inputs of the model, in any order', () => {
    expect(() => check(GOOD_IMAGE, GOOD_SCALE)).not.toThrow();
    expect(() => check(GOOD_SCALE, GOOD_IMAGE)).not.toThrow();
    expect(() => checkInputs([], [])).not.toThrow();
  });

  it('takes any size where a dimension is free, 0 too', () => {
    for (const shape of [
      [0, 3, 0],
      [1, 3, 1],
      [9_000, 3, 1],
    ]) {
      expect(() => check({ ...GOOD_IMAGE, shape }, GOOD_SCALE)).not.toThrow();
    }
  });

  it('takes two sizes for one free name: exporters name them carelessly', () => {
    const specs: TensorSpec[] = [IMAGE, { ...IMAGE, name: 'mask' }];
    expect(() =>
      checkInputs(specs, [GOOD_IMAGE, { ...GOOD_IMAGE, name: 'mask', shape: [5, 3, 1] }]),
    ).not.toThrow();
  });

  it.each([
    [
      'an unknown input',
      [GOOD_IMAGE, GOOD_SCALE, { ...GOOD_SCALE, name: 'x' }],
      "unknown input 'x', the model has inputs 'image', 'scale'",
    ],
    [
      'an input of another case',
      [{ ...GOOD_IMAGE, name: 'Image' }, GOOD_SCALE],
      "unknown input 'Image', the model has inputs 'image', 'scale'",
    ],
    [
      'an input that is given twice',
      [GOOD_IMAGE, GOOD_SCALE, GOOD_IMAGE],
      "input 'image' is given twice",
    ],
    [
      'a missing input',
      [GOOD_IMAGE],
      "input 'scale' is missing, the model takes inputs 'image', 'scale'",
    ],
    ['no inputs at all', [], "input 'image' is missing, the model takes inputs 'image', 'scale'"],
    [
      'a wrong datatype',
      [{ ...GOOD_IMAGE, datatype: 'FP64' as const }, GOOD_SCALE],
      "input 'image' has datatype FP64, expected FP32",
    ],
    [
      'a dimension too few',
      [{ ...GOOD_IMAGE, shape: [2, 3] }, GOOD_SCALE],
      "input 'image' has shape [2, 3], expected [n, 3, ?]",
    ],
    [
      'a dimension too many',
      [GOOD_IMAGE, { ...GOOD_SCALE, shape: [1] }],
      "input 'scale' has shape [1], expected []",
    ],
    [
      'a wrong fixed dimension',
      [{ ...GOOD_IMAGE, shape: [2, 4, 7] }, GOOD_SCALE],
      "input 'image' has shape [2, 4, 7], expected [n, 3, ?]",
    ],
  ])('refuses %s', (_, given, message) => {
    expect(() => check(...given)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_INPUT', message }),
    );
  });

  it('says so when the model takes no inputs', () => {
    expect(() => checkInputs([], [GOOD_SCALE])).toThrow(
      "unknown input 'scale', the model has no inputs",
    );
  });

  it('names the first twenty inputs of a model that has more', () => {
    const specs = (count: number): TensorSpec[] =>
      Array.from({ length: count }, (_, index) => ({ ...SCALE, name: `i${index}` }));
    expect(() => checkInputs(specs(20), [GOOD_SCALE])).toThrow(/'i19'$/);
    expect(() => checkInputs(specs(21), [GOOD_SCALE])).toThrow(/'i19' and 1 more$/);
  });

  it('shows a stranger’s name short and without what could forge a line of a log', () => {
    const name = `a\nb${'c'.repeat(100)}`;
    expect(() => check({ ...GOOD_SCALE, name })).toThrow(
      `unknown input 'a\ufffdb${'c'.repeat(61)}…'`,
    );
  });

  it('looks for no input in what every object has', () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect(() => check({ ...GOOD_SCALE, name })).toThrow(`unknown input '${name}'`);
    }
  });
});

describe('checkOutputNames', () => {
  it('takes names of the model’s outputs, any number and order of them, and none', () => {
    for (const wanted of [[], ['image'], ['scale', 'image'], ['image', 'image']]) {
      expect(() => checkOutputNames([IMAGE, SCALE], wanted)).not.toThrow();
    }
  });

  it('refuses the first that is none, and shows what there is', () => {
    expect(() => checkOutputNames([IMAGE, SCALE], ['image', 'y', 'z'])).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_INPUT',
        message: "unknown output 'y', the model has outputs 'image', 'scale'",
      }),
    );
    expect(() => checkOutputNames([], ['y'])).toThrow(
      "unknown output 'y', the model has no outputs",
    );
  });
});
