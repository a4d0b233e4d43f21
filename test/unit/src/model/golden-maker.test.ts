import { describe, expect, it } from 'vitest';
import { ExecutionError, InvalidInputError, LimitError } from '../../../../protocols/errors.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import type { TensorSpec } from '../../../../protocols/types.ts';
import { readGoldenFile } from '../../../../src/model/golden-file.ts';
import { type ModelRun, makeGolden } from '../../../../src/model/golden-maker.ts';
import { refusal } from '../../../support/refusal.ts';

const model = (shape: TensorSpec['shape'], datatype: TensorSpec['datatype'] = 'FP32') => ({
  inputs: [{ name: 'x', datatype, shape }],
  outputs: [{ name: 'y', datatype, shape }],
});

const OPTIONS = { madeFor: 'ab12' };

/** `y = x` */
const echo: ModelRun = async (inputs) =>
  inputs.map(({ tensor: { datatype, shape, bytes } }) => ({
    name: 'y',
    tensor: new Tensor(datatype, shape, bytes),
  }));

describe('makeGolden', () => {
  it('makes two cases, of one row and of two, whose file holds them', async () => {
    const { cases, bytes } = await makeGolden(model(['n', 4]), echo, OPTIONS);
    expect(cases.map(({ inputs }) => inputs[0]?.tensor.shape)).toEqual([
      [1, 4],
      [2, 4],
    ]);
    const read = readGoldenFile(bytes, { fileName: 'golden.json', model: model(['n', 4]) });
    expect([...read]).toEqual(cases.map((golden) => ({ ...golden, tolerance: undefined })));
  });

  it('gives the same bytes each time', async () => {
    const [one, two] = await Promise.all(
      [1, 2].map(() => makeGolden(model(['n', 4]), echo, OPTIONS)),
    );
    expect(one?.bytes).toEqual(two?.bytes);
  });

  it('gives floats a tolerance of their own scale, and nothing else any', async () => {
    const scaled =
      (factor: number): ModelRun =>
      async () => [{ name: 'y', tensor: Tensor.from('FP32', [2], [-3 * factor, factor]) }];
    const toleranceAt = async (factor: number) =>
      (await makeGolden(model([1]), scaled(factor), OPTIONS)).cases[0]?.outputs[0]?.tolerance;
    expect(await toleranceAt(1)).toEqual({ absolute: 0.003, relative: 0.01 });
    expect(await toleranceAt(1e-6)).toEqual({ absolute: 3e-9, relative: 0.01 });
    expect(await toleranceAt(0)).toEqual({ absolute: 0.001, relative: 0.01 });
    expect(await toleranceAt(1e30)).toEqual({ absolute: 1e6, relative: 0.01 });
    const integers = await makeGolden(model([1], 'INT64'), echo, OPTIONS);
    expect(integers.cases[0]?.outputs[0]?.tolerance).toBeUndefined();
  });

  it('tries other sizes of free dimensions when the model takes none of the first', async () => {
    const wants64: ModelRun = async (inputs, options) => {
      if (inputs[0]?.tensor.shape[1] !== 64) throw new ExecutionError('model failed: too small');
      return echo(inputs, options);
    };
    const { cases } = await makeGolden(model([1, 's']), wants64, OPTIONS);
    expect(cases[0]?.inputs[0]?.tensor.shape).toEqual([1, 64]);
  });

  it('tries plainer inputs when the model takes none with signs', async () => {
    const wantsShares: ModelRun = async (inputs, options) => {
      const values = (inputs[0]?.tensor.toArray() ?? []) as number[];
      if (values.some((value) => value < 0)) throw new ExecutionError('model failed: below 0');
      return echo(inputs, options);
    };
    expect((await makeGolden(model([1, 16]), wantsShares, OPTIONS)).cases).toHaveLength(2);
  });

  it('keeps to one case when the model takes no two rows', async () => {
    const one: ModelRun = async (inputs, options) => {
      if (inputs[0]?.tensor.shape[0] !== 1) throw new InvalidInputError('one at a time');
      return echo(inputs, options);
    };
    expect((await makeGolden(model(['n']), one, OPTIONS)).cases).toHaveLength(1);
  });

  it('says why the model takes nothing that can be made up', async () => {
    const refuses: ModelRun = async () => {
      throw new ExecutionError('model failed: indices out of range');
    };
    await expect(makeGolden(model(['n']), refuses, OPTIONS)).rejects.toEqual(
      refusal(
        'ERR_INVALID_MODEL',
        'model takes no made-up inputs: model failed: indices out of range',
      ),
    );
    await expect(makeGolden(model([1024, 1024]), echo, OPTIONS)).rejects.toEqual(
      refusal('ERR_INVALID_MODEL', /its inputs are too large to be made up/),
    );
  });

  it('refuses a model that answers the same inputs differently', async () => {
    let calls = 0;
    const random: ModelRun = async () => [
      { name: 'y', tensor: Tensor.from('FP32', [1], [(calls += 1)]) },
    ];
    await expect(makeGolden(model([1]), random, OPTIONS)).rejects.toEqual(
      refusal('ERR_INVALID_MODEL', /^model answers equal inputs with different outputs 'y'/),
    );
  });

  it('refuses answers that fill more than a file', async () => {
    const vast: ModelRun = async () => [
      { name: 'y', tensor: Tensor.from('INT8', [4_200_000], new Int8Array(4_200_000).fill(-100)) },
    ];
    await expect(makeGolden(model([1]), vast, OPTIONS)).rejects.toBeInstanceOf(LimitError);
  });

  it('passes on what is not the model’s refusal, and the signal’s reason', async () => {
    const broken: ModelRun = async () => {
      throw new TypeError('a bug');
    };
    await expect(makeGolden(model([1]), broken, OPTIONS)).rejects.toBeInstanceOf(TypeError);
    const aborted: ModelRun = async () => {
      throw new ExecutionError('killed');
    };
    const signal = AbortSignal.abort(new Error('told to end'));
    await expect(makeGolden(model([1]), aborted, { ...OPTIONS, signal })).rejects.toThrow(
      'told to end',
    );
  });
});
