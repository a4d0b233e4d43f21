import { describe, expect, test } from 'vitest';
import {
  firstDifference,
  PROBE_INPUTS,
  PROBE_OUTPUTS,
  PROBE_TOLERANCE,
  probeInput,
  probeModelBytes,
} from '../../../../node/device/probe-model.ts';
import { memorySource } from '../../../../src/model/byte-source.ts';
import { checkOnnxGraph } from '../../../../src/model/model-scan.ts';
import { readOnnxGraph } from '../../../../src/model/onnx-reader.ts';
import { buildModel } from '../../../support/onnx-builder.ts';

describe('probeModelBytes', () => {
  test('is the model that says y = Relu(x · w + b)', () => {
    const weights = Array.from({ length: 64 }, (_, index) => (((index * 7) % 11) - 5) / 4);
    const built = buildModel({
      producer: 'gpu-swarm',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [4, 8] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [4, 8] }],
      nodes: [
        { op: 'MatMul', inputs: ['x', 'w'], outputs: ['product'] },
        { op: 'Add', inputs: ['product', 'b'], outputs: ['sum'] },
        { op: 'Relu', inputs: ['sum'], outputs: ['y'] },
      ],
      initializers: [
        { name: 'w', datatype: 'FP32', shape: [8, 8], data: weights },
        { name: 'b', datatype: 'FP32', shape: [8], data: [-2, -1.5, -1, -0.5, 0.5, 1, 1.5, 2] },
      ],
    });
    expect(Buffer.compare(probeModelBytes(), built)).toBe(0);
  });

  test('has the inputs and outputs that are declared of it', async () => {
    const found = checkOnnxGraph(await readOnnxGraph(memorySource(probeModelBytes())));
    expect(found).toMatchObject({ inputs: PROBE_INPUTS, outputs: PROBE_OUTPUTS });
    expect(probeInput()).toHaveLength(4 * 8);
  });
});

describe('firstDifference', () => {
  test('is undefined within the tolerance, absolute for small numbers and relative for large', () => {
    const within = PROBE_TOLERANCE * 0.99;
    expect(firstDifference([within, 1000 + 1000 * within], [0, 1000])).toBeUndefined();
    expect(firstDifference([0, PROBE_TOLERANCE * 1.01], [0, 0])).toBe(1);
    expect(firstDifference([1000 * (1 + PROBE_TOLERANCE * 1.01)], [1000])).toBe(0);
  });

  test.each<[what: string, found: number[], expected: number[], index: number]>([
    ['NaN', [1, Number.NaN], [1, 1], 1],
    ['infinity', [Infinity], [1], 0],
    ['a short answer', [1], [1, 2], 1],
    ['a long answer', [1, 2], [1], 1],
  ])('sees %s', (_, found, expected, index) => {
    expect(firstDifference(found, expected)).toBe(index);
  });
});
