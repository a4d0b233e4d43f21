import { describe, expect, it } from 'vitest';
import { type NamedTensor, Tensor } from '../../../../protocols/tensor.ts';
import { batchFormOf } from '../../../../src/policy/batch-form.ts';

function x(
  shape: readonly number[],
  { name = 'x', datatype = 'FP32' }: { name?: string; datatype?: 'FP32' | 'FP64' } = {},
): NamedTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const bytes = new Uint8Array(count * (datatype === 'FP32' ? 4 : 8));
  return { name, tensor: new Tensor(datatype, shape, bytes) };
}

describe('batchFormOf', () => {
  const base = batchFormOf([x([2, 3])], [], 0);

  it('counts the rows in the batch dimension and leaves them out of the key', () => {
    expect(base?.rows).toBe(2);
    expect(batchFormOf([x([5, 3])], [], 0)).toEqual({ key: base?.key, rows: 5 });
  });

  it.each<[what: string, inputs: readonly NamedTensor[], outputs: readonly string[]]>([
    ['another size of another dimension', [x([2, 4])], []],
    ['another datatype', [x([2, 3], { datatype: 'FP64' })], []],
    ['another name', [x([2, 3], { name: 'y' })], []],
    ['a name that reads as a form', [x([2, 3], { name: 'x":FP32,*,3,"y' })], []],
    ['another rank', [x([2, 3, 1])], []],
    ['other outputs', [x([2, 3])], ['y']],
    ['a further input', [x([2, 3]), x([2], { name: 'y' })], []],
  ])('tells %s apart', (_what, inputs, outputs) => {
    const form = batchFormOf(inputs, outputs, 0);
    expect(form).toBeDefined();
    expect(form?.key).not.toBe(base?.key);
  });

  it('does not care for the order of the inputs', () => {
    const y = x([2], { name: 'y' });
    expect(batchFormOf([x([2, 3]), y], [], 0)).toEqual(batchFormOf([y, x([2, 3])], [], 0));
  });

  it('takes the dimension it is given', () => {
    expect(batchFormOf([x([7, 2])], [], 1)).toMatchObject({ rows: 2 });
    expect(batchFormOf([x([7, 2])], [], 1)?.key).toBe(batchFormOf([x([7, 4])], [], 1)?.key);
  });

  it.each<[what: string, inputs: readonly NamedTensor[], axis: number]>([
    ['without inputs', [], 0],
    ['with an input that lacks the dimension', [x([2, 3]), x([], { name: 'y' })], 0],
    ['whose inputs have different rows', [x([2, 3]), x([3], { name: 'y' })], 0],
    ['of no rows', [x([0, 3])], 0],
    ['of too few dimensions', [x([2])], 1],
  ])('leaves a request %s alone', (_what, inputs, axis) => {
    expect(batchFormOf(inputs, [], axis)).toBeUndefined();
  });
});
