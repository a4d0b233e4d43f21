import { Tensor } from '../../protocols/tensor.ts';
import { ENDLESS_TRIPS, LOOP_MODEL } from './echo-model.ts';
import {
  buildModel,
  type FunctionInit,
  type GraphInit,
  type InitializerInit,
  type ModelInit,
  type NodeInit,
  type ValueInit,
} from './onnx-builder.ts';
import { present } from './present.ts';

/** A model made to do harm. */
export interface HostileModel {
  readonly name: string;
  readonly model: Uint8Array;
  /** Files beside it. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
  /** What a caller sends; zeros where there is nothing to say. */
  readonly feeds?: Readonly<Record<string, Tensor>>;
  /**
   * `refused`: by the scan or the runtime, before it serves. `fails`: it may load, and its run is an error of its own.
   * `served`: odd, and right to answer.
   */
  readonly end: 'refused' | 'fails' | 'served';
}

const value = (name: string, datatype: ValueInit['datatype'], shape?: ValueInit['shape']) => ({
  name,
  ...(datatype === undefined ? {} : { datatype }),
  ...(shape === undefined ? {} : { shape }),
});

const X = value('x', 'FP32', ['n']);
const Y = value('y', 'FP32', ['m']);
const int64 = (name: string, ...data: bigint[]): InitializerInit => ({
  name,
  datatype: 'INT64',
  shape: [data.length],
  data,
});
const ints = (name: string, ...data: number[]): InitializerInit => ({
  name,
  datatype: 'INT32',
  shape: [data.length],
  data,
});
const node = (op: string, inputs: string[], outputs: string[]): NodeInit => ({
  op,
  inputs,
  outputs,
});

function model(nodes: readonly NodeInit[], more: Partial<ModelInit> = {}): Uint8Array {
  return buildModel({ inputs: [X], outputs: [Y], nodes, ...more });
}

/** `If` within `If`, always in the first branch: in both, forty levels would be a file of 2^40 nodes. */
function nested(levels: number): GraphInit {
  const leaf: GraphInit = {
    inputs: [],
    outputs: [value('r0', 'FP32')],
    nodes: [node('Identity', ['x'], ['r0'])],
  };
  const result = `r${levels + 1}`;
  const then = levels === 0 ? leaf : nested(levels - 1);
  return {
    inputs: [],
    outputs: [value(result, 'FP32')],
    nodes: [
      {
        ...node('If', ['yes'], [result]),
        attributes: { then_branch: { graph: then }, else_branch: { graph: leaf } },
      },
    ],
  };
}

function ifNest(levels: number): Uint8Array {
  const { nodes } = nested(levels - 1);
  return model([...nodes, node('Identity', [`r${levels}`], ['y'])], {
    initializers: [{ name: 'yes', datatype: 'BOOL', shape: [], data: [true] }],
  });
}

function chain(length: number): Uint8Array {
  const nodes = Array.from({ length }, (_, index) =>
    node('Neg', [index === 0 ? 'x' : `v${index}`], [index === length - 1 ? 'y' : `v${index + 1}`]),
  );
  return model(nodes);
}

/** Each function calls the next one twice: 2^levels nodes once they are expanded. */
function functionBomb(levels: number): Uint8Array {
  const functions = Array.from({ length: levels }, (_, index): FunctionInit => {
    const inner = index + 1 === levels ? 'Neg' : `F${index + 1}`;
    const call = (from: string, to: string): NodeInit => ({
      ...node(inner, [from], [to]),
      ...(index + 1 === levels ? {} : { domain: 'own' }),
    });
    return {
      domain: 'own',
      name: `F${index}`,
      inputs: ['a'],
      outputs: ['c'],
      nodes: [call('a', 'b'), call('b', 'c')],
    };
  });
  return model([{ ...node('F0', ['x'], ['y']), domain: 'own' }], { functions });
}

/** ONNX Runtime 1.30 aborts while it loads this one: an input of the loop's body is an initializer of it too. */
function shadowedLoop(): Uint8Array {
  const loop = present(LOOP_MODEL.nodes[0]);
  const { graph } = present(loop.attributes?.['body']) as { graph: GraphInit };
  const state: InitializerInit = { name: 'state', datatype: 'FP32', shape: [1], data: [1] };
  const body = { graph: { ...graph, initializers: [state] } };
  return buildModel({ ...LOOP_MODEL, nodes: [{ ...loop, attributes: { body } }] });
}

function externalAt(location: string): HostileModel {
  const w: InitializerInit = {
    name: 'w',
    datatype: 'FP32',
    shape: [1],
    external: { location, length: 4 },
  };
  return {
    name: `external data in ${location}`,
    model: model([node('Add', ['x', 'w'], ['y'])], { initializers: [w] }),
    end: 'refused',
  };
}

const INT4 = 22;
const divisionInputs = ['a', 'b'].map((name) => value(name, 'INT32', ['n']));
const quotient = [value('y', 'INT32', ['n'])];
const four = Tensor.from('FP32', [4], [1, 2, 3, 4]);

/** Attacks by hand, each for something that a runtime, a scan or a node has to hold against. The long ones are made when asked for. */
export function hostileModels(): readonly HostileModel[] {
  return [
    {
      name: 'loop bomb',
      model: buildModel(LOOP_MODEL),
      feeds: { x: Tensor.from('FP32', [1], [1]), trips: Tensor.from('INT64', [], [ENDLESS_TRIPS]) },
      end: 'fails',
    },
    {
      name: 'tile bomb',
      model: model([node('Tile', ['x', 'often'], ['y'])], {
        initializers: [int64('often', 2n ** 40n)],
      }),
      feeds: { x: four },
      end: 'fails',
    },
    {
      name: 'tile bomb of constants, which the runtime folds while it loads',
      model: model([node('Tile', ['w', 'often'], ['t']), node('Add', ['x', 't'], ['y'])], {
        initializers: [
          int64('often', 2n ** 40n),
          { name: 'w', datatype: 'FP32', shape: [1], data: [1] },
        ],
      }),
      feeds: { x: four },
      end: 'fails',
    },
    {
      name: 'expand bomb whose sizes multiply to nothing in 64 bits',
      model: model([node('Expand', ['x', 'shape'], ['y'])], {
        inputs: [value('x', 'FP32', [])],
        outputs: [value('y', 'FP32', ['a', 'b'])],
        initializers: [int64('shape', 2n ** 32n, 2n ** 32n)],
      }),
      feeds: { x: Tensor.from('FP32', [], [1]) },
      end: 'fails',
    },
    {
      name: 'INT_MIN / -1 by a caller',
      model: model([node('Div', ['a', 'b'], ['y'])], { inputs: divisionInputs, outputs: quotient }),
      feeds: { a: Tensor.from('INT32', [1], [-(2 ** 31)]), b: Tensor.from('INT32', [1], [-1]) },
      end: 'fails',
    },
    {
      name: 'INT_MIN / -1 in the model, which the runtime divides while it loads',
      model: model([node('Div', ['a', 'b'], ['q']), node('Add', ['c', 'q'], ['y'])], {
        inputs: [value('c', 'INT32', ['n'])],
        outputs: quotient,
        initializers: [ints('a', -(2 ** 31)), ints('b', -1)],
      }),
      end: 'refused',
    },
    { name: 'an If 33 deep', model: ifNest(33), end: 'refused' },
    { name: 'an If 12 deep', model: ifNest(12), feeds: { x: four }, end: 'served' },
    {
      name: 'a chain of 100 000 nodes',
      get model() {
        return chain(100_000);
      },
      feeds: { x: four },
      end: 'served',
    },
    {
      name: 'a chain of 200 001 nodes',
      get model() {
        return chain(200_001);
      },
      end: 'refused',
    },
    { name: 'forty functions that make 2^40 nodes', model: functionBomb(40), end: 'refused' },
    ...['../secret', '/etc/passwd', 'a/../../secret', String.raw`..\secret`].map(externalAt),
    ...['*/_ORT_MEM_ADDR_/*', 'not-there.bin', 'model.onnx/'].map(externalAt),
    {
      name: 'an input of 2^62 elements',
      model: model([node('Identity', ['x'], ['y'])], {
        inputs: [value('x', 'FP32', [2 ** 52, 2 ** 52])],
      }),
      end: 'refused',
    },
    {
      name: 'an initializer of 2^40 elements without data',
      model: model([node('Add', ['x', 'w'], ['y'])], {
        initializers: [{ name: 'w', datatype: 'FP32', shape: [2 ** 40] }],
      }),
      end: 'refused',
    },
    {
      name: 'an initializer of negative size',
      model: model([node('Add', ['x', 'w'], ['y'])], {
        initializers: [{ name: 'w', datatype: 'FP32', shape: [-4], data: [1, 2, 3, 4] }],
      }),
      end: 'refused',
    },
    {
      name: 'an int4 output, which aborts the process that reads it',
      model: model([{ ...node('Cast', ['x'], ['y']), attributes: { to: { int: INT4 } } }], {
        outputs: [value('y', INT4, ['n'])],
        opset: 21,
        irVersion: 10,
      }),
      end: 'refused',
    },
    {
      name: 'an int4 output beside one that can be served',
      model: model(
        [
          { ...node('Cast', ['x'], ['z']), attributes: { to: { int: INT4 } } },
          node('Identity', ['x'], ['y']),
        ],
        { outputs: [Y, value('z', INT4, ['n'])], opset: 21, irVersion: 10 },
      ),
      feeds: { x: four },
      end: 'served',
    },
    {
      name: 'a loop whose state is an initializer, which aborts the runtime',
      model: shadowedLoop(),
      end: 'refused',
    },
    {
      name: 'an LSTM of an input without rank, which aborts the runtime',
      model: model(
        [{ ...node('LSTM', ['x', 'w', 'r'], ['y']), attributes: { hidden_size: { int: 1 } } }],
        {
          inputs: [value('x', 'FP32')],
          initializers: ['w', 'r'].map((name) => ({
            name,
            datatype: 'FP32' as const,
            shape: [4],
            data: [1, 1, 1, 1],
          })),
        },
      ),
      end: 'refused',
    },
    {
      name: 'a node that feeds itself',
      model: model([node('Add', ['x', 'y'], ['y'])]),
      end: 'refused',
    },
    {
      name: '1025 outputs',
      model: model(
        Array.from({ length: 1025 }, (_, index) => node('Identity', ['x'], [`y${index}`])),
        { outputs: Array.from({ length: 1025 }, (_, index) => value(`y${index}`, 'FP32', ['n'])) },
      ),
      end: 'refused',
    },
    {
      name: 'a library of custom operators',
      model: model([{ ...node('Run', ['x'], ['y']), domain: 'ai.onnx.contrib' }]),
      end: 'refused',
    },
    {
      name: 'code compiled for one device',
      model: model([
        {
          ...node('EPContext', ['x'], ['y']),
          domain: 'com.microsoft',
          attributes: { ep_cache_context: { string: '../evil.so' }, embed_mode: { int: 0 } },
        },
      ]),
      end: 'refused',
    },
  ];
}
