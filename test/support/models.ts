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

/** As {@link addModel}, but it fails while it runs when the first number of a row is not an index below `rows`. */
export function fragileModel(offset: number, rows: number): Uint8Array {
  return buildModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 4] }],
    outputs: [{ name: 'sum', datatype: 'FP32', shape: ['batch', 4] }],
    nodes: [
      { op: 'Gather', inputs: ['x', 'zero'], outputs: ['first'], attributes: { axis: { int: 1 } } },
      { op: 'Cast', inputs: ['first'], outputs: ['index'], attributes: { to: { int: 7 } } },
      { op: 'Gather', inputs: ['table', 'index'], outputs: ['found'] },
      { op: 'Add', inputs: ['x', 'found'], outputs: ['sum'] },
    ],
    initializers: [
      { name: 'zero', datatype: 'INT64', shape: [1], data: [0n] },
      {
        name: 'table',
        datatype: 'FP32',
        shape: [rows],
        data: Array.from({ length: rows }, () => offset),
      },
    ],
  });
}

/** `row FP32 [batch, 1024] = weights[index INT64 [batch]]`: the weights, 4 KiB a row, lie in `weights.bin`. */
export function lookupModel(rows: number): Uint8Array {
  return buildModel({
    inputs: [{ name: 'index', datatype: 'INT64', shape: ['batch'] }],
    outputs: [{ name: 'row', datatype: 'FP32', shape: ['batch', 1024] }],
    nodes: [{ op: 'Gather', inputs: ['weights', 'index'], outputs: ['row'] }],
    initializers: [
      {
        name: 'weights',
        datatype: 'FP32',
        shape: [rows, 1024],
        external: { location: 'weights.bin', offset: 0, length: rows * 4096 },
      },
    ],
  });
}

/** `y FP32 [batch, n] = x FP32 [batch, n] + rounds`, one by one: 1000 rounds of 15 000 numbers take some 10 ms. */
export function slowModel(rounds: number): Uint8Array {
  const row = ['batch', 'n'];
  return buildModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: row }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: row }],
    nodes: [
      {
        op: 'Loop',
        inputs: ['trips', 'go', 'x'],
        outputs: ['y'],
        attributes: {
          body: {
            graph: {
              inputs: [
                { name: 'i', datatype: 'INT64', shape: [] },
                { name: 'before', datatype: 'BOOL', shape: [] },
                { name: 'sum', datatype: 'FP32', shape: row },
              ],
              outputs: [
                { name: 'after', datatype: 'BOOL', shape: [] },
                { name: 'next', datatype: 'FP32', shape: row },
              ],
              nodes: [
                { op: 'Identity', inputs: ['before'], outputs: ['after'] },
                { op: 'Add', inputs: ['sum', 'one'], outputs: ['next'] },
              ],
            },
          },
        },
      },
    ],
    initializers: [
      { name: 'trips', datatype: 'INT64', shape: [], data: [BigInt(rounds)] },
      { name: 'go', datatype: 'BOOL', shape: [], data: [true] },
      { name: 'one', datatype: 'FP32', shape: [], data: [1] },
    ],
  });
}
