import { noise } from './noise.ts';
import { encodeElements, type ModelInit } from './onnx-builder.ts';

const floats = (count: number): Uint8Array =>
  encodeElements(
    'FP32',
    Array.from(noise(count, count), (byte) => byte / 256 - 0.5),
  );

/** `quotient = a / b`: kernels of integers, where a wrong value kills. */
export const DIVISION: ModelInit = {
  inputs: ['a', 'b'].map((name) => ({ name, datatype: 'INT32' as const, shape: ['n'] })),
  outputs: [{ name: 'quotient', datatype: 'INT32', shape: ['n'] }],
  nodes: [
    { op: 'Add', inputs: ['b', 'one'], outputs: ['c'] },
    { op: 'Div', inputs: ['a', 'c'], outputs: ['quotient'] },
  ],
  initializers: [{ name: 'one', datatype: 'INT32', shape: [1], data: [1] }],
};

/** Rows of a table by index, with a text beside them: kernels that follow what an input points to. */
export const LOOKUP: ModelInit = {
  inputs: [
    { name: 'index', datatype: 'INT64', shape: ['n'] },
    { name: 'text', datatype: 'BYTES', shape: ['n'] },
  ],
  outputs: [
    { name: 'rows', datatype: 'FP32', shape: ['n', 8] },
    { name: 'same', datatype: 'BYTES', shape: ['n'] },
  ],
  nodes: [
    {
      op: 'Gather',
      inputs: ['table', 'index'],
      outputs: ['rows'],
      attributes: { axis: { int: 0 } },
    },
    { op: 'Identity', inputs: ['text'], outputs: ['same'] },
  ],
  initializers: [{ name: 'table', datatype: 'FP32', shape: [4, 8], data: floats(32) }],
};

/** A small picture through a convolution, a pool and a layer: the shapes of one node decide those of the next. */
export const CLASSIFIER: ModelInit = {
  inputs: [{ name: 'picture', datatype: 'FP32', shape: ['n', 1, 6, 6] }],
  outputs: [{ name: 'scores', datatype: 'FP32', shape: ['n', 3] }],
  nodes: [
    {
      op: 'Conv',
      inputs: ['picture', 'kernel'],
      outputs: ['seen'],
      attributes: { kernel_shape: { ints: [3, 3] }, pads: { ints: [1, 1, 1, 1] } },
    },
    { op: 'Relu', inputs: ['seen'], outputs: ['lit'] },
    {
      op: 'MaxPool',
      inputs: ['lit'],
      outputs: ['pooled'],
      attributes: { kernel_shape: { ints: [2, 2] }, strides: { ints: [2, 2] } },
    },
    { op: 'Reshape', inputs: ['pooled', 'flat'], outputs: ['row'] },
    { op: 'Gemm', inputs: ['row', 'weights', 'bias'], outputs: ['scores'] },
  ],
  initializers: [
    { name: 'kernel', datatype: 'FP32', shape: [2, 1, 3, 3], data: floats(18) },
    { name: 'flat', datatype: 'INT64', shape: [2], data: [-1n, 18n] },
    { name: 'weights', datatype: 'FP32', shape: [18, 3], data: floats(54) },
    { name: 'bias', datatype: 'FP32', shape: [3], data: floats(3) },
  ],
};

/** A recurrent layer and a choice between two branches: states, sequences, graphs within the graph. */
export const RECURRENT: ModelInit = {
  inputs: [{ name: 'steps', datatype: 'FP32', shape: ['time', 'n', 2] }],
  outputs: [{ name: 'out', datatype: 'FP32', shape: [1, 'n', 3] }],
  nodes: [
    {
      op: 'LSTM',
      inputs: ['steps', 'w', 'r'],
      outputs: ['', 'last'],
      attributes: { hidden_size: { int: 3 } },
    },
    { op: 'ReduceMax', inputs: ['last'], outputs: ['most'], attributes: { keepdims: { int: 0 } } },
    { op: 'Greater', inputs: ['most', 'zero'], outputs: ['high'] },
    {
      op: 'If',
      inputs: ['high'],
      outputs: ['out'],
      attributes: {
        then_branch: branch('Neg', 'lower'),
        else_branch: branch('Identity', 'same'),
      },
    },
  ],
  initializers: [
    { name: 'w', datatype: 'FP32', shape: [1, 12, 2], data: floats(24) },
    { name: 'r', datatype: 'FP32', shape: [1, 12, 3], data: floats(36) },
    { name: 'zero', datatype: 'FP32', shape: [], data: [0] },
  ],
};

function branch(op: string, output: string) {
  return {
    graph: {
      inputs: [],
      outputs: [{ name: output, datatype: 'FP32' as const, shape: [1, 'n', 3] }],
      nodes: [{ op, inputs: ['last'], outputs: [output] }],
    },
  };
}
