import { buildModel } from './onnx-builder.ts';

/** `sum FP32 [batch, 4] = x FP32 [batch, 4] + offset`: instant, and its answer tells which version it is. */
export function addModel(offset = 1): Uint8Array {
  return buildModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 4] }],
    outputs: [{ name: 'sum', datatype: 'FP32', shape: ['batch', 4] }],
    nodes: [{ op: 'Add', inputs: ['x', 'offset'], outputs: ['sum'] }],
    initializers: [{ name: 'offset', datatype: 'FP32', shape: [], data: [offset] }],
  });
}

/** `n INT64 [] = trips INT64 []`, after so many rounds of a loop: some 100 000 rounds take tens of milliseconds. */
export function loopModel(): Uint8Array {
  return buildModel({
    inputs: [{ name: 'trips', datatype: 'INT64', shape: [] }],
    outputs: [{ name: 'n', datatype: 'INT64', shape: [] }],
    nodes: [
      {
        op: 'Loop',
        inputs: ['trips', 'go', 'zero'],
        outputs: ['n'],
        attributes: {
          body: {
            graph: {
              inputs: [
                { name: 'i', datatype: 'INT64', shape: [] },
                { name: 'before', datatype: 'BOOL', shape: [] },
                { name: 'count', datatype: 'INT64', shape: [] },
              ],
              outputs: [
                { name: 'after', datatype: 'BOOL', shape: [] },
                { name: 'next', datatype: 'INT64', shape: [] },
              ],
              nodes: [
                { op: 'Identity', inputs: ['before'], outputs: ['after'] },
                { op: 'Add', inputs: ['count', 'one'], outputs: ['next'] },
              ],
            },
          },
        },
      },
    ],
    initializers: [
      { name: 'go', datatype: 'BOOL', shape: [], data: [true] },
      { name: 'zero', datatype: 'INT64', shape: [], data: [0n] },
      { name: 'one', datatype: 'INT64', shape: [], data: [1n] },
    ],
  });
}
