import { describe, expect, it } from 'vitest';
import {
  findPreprocessingFaults,
  type Preprocessing,
} from '../../../../protocols/manifest/index.ts';
import type { TensorSpec } from '../../../../protocols/types.ts';

const RGB: Preprocessing = {
  kind: 'image',
  input: 'x',
  width: 8,
  height: 4,
  channels: 'rgb',
  layout: 'NCHW',
};

const input = (shape: TensorSpec['shape'], datatype: TensorSpec['datatype'] = 'FP32') => ({
  name: 'x',
  datatype,
  shape,
});

describe('findPreprocessingFaults', () => {
  it.each<[Partial<Preprocessing>, TensorSpec['shape']]>([
    [{}, [1, 3, 4, 8]],
    [{}, ['batch', 3, null, 'w']],
    [{ layout: 'NHWC' }, [null, 4, 8, 3]],
    [{ channels: 'gray' }, ['n', 1, 4, 8]],
    [{ mean: [0], std: [1, 1, 1] }, ['n', 3, 4, 8]],
  ])('finds none when %j makes the input %j', (change, shape) => {
    expect(findPreprocessingFaults({ ...RGB, ...change }, input(shape))).toEqual([]);
  });

  it.each<[what: string, Partial<Preprocessing>, TensorSpec, string]>([
    ['rank', {}, input([3, 4, 8]), 'the input is FP32[3, 4, 8]'],
    ['channels', { channels: 'gray' }, input([1, 3, 4, 8]), 'makes FP32[1, 1, 4, 8]'],
    ['layout', { layout: 'NHWC' }, input(['n', 3, 4, 8]), 'makes FP32[1, 4, 8, 3]'],
    ['size', {}, input(['n', 3, 8, 8]), 'makes FP32[1, 3, 4, 8]'],
    ['fixed batch', {}, input([2, 3, 4, 8]), 'the input is FP32[2, 3, 4, 8]'],
    ['datatype', {}, input(['n', 3, 4, 8], 'UINT8'), 'the input is UINT8'],
  ])('names the input when it has another %s', (_what, change, spec, message) => {
    expect(findPreprocessingFaults({ ...RGB, ...change }, spec)).toEqual([
      { field: 'input', message: expect.stringContaining(message) as unknown },
    ]);
  });

  it('names mean and std when they are neither one value nor one for each channel', () => {
    const faults = findPreprocessingFaults(
      { ...RGB, mean: [1, 2], std: [1, 2] },
      input([1, 3, 4, 8]),
    );
    const message = 'has 2 values, expected 1 or one for each of 3 channels';
    expect(faults).toEqual([
      { field: 'mean', message },
      { field: 'std', message },
    ]);
  });
});
