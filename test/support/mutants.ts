import { noise } from './noise.ts';
import {
  buildModel,
  type InitializerInit,
  type ModelInit,
  type NodeInit,
  type ValueInit,
} from './onnx-builder.ts';
import { encodeVarint } from './protobuf-writer.ts';

/** A model with something wrong in it, the same for the same seed. */
export interface Mutant {
  readonly seed: number;
  /** Which model was changed, and how: what a failure prints besides the seed. */
  readonly name: string;
  readonly model: Uint8Array;
}

/** The mutant of a seed: seeds in a row go through all bases and all ways to change them. */
export function createMutant(bases: Readonly<Record<string, ModelInit>>, seed: number): Mutant {
  const dice = new Dice(seed);
  const names = Object.keys(bases);
  const base = names[seed % names.length] ?? '';
  const [way, change] = WAYS[Math.floor(seed / names.length) % WAYS.length] ?? dice.pick(WAYS);
  const init = bases[base] as ModelInit;
  return { seed, name: `${base} ${way}`, model: change(init, dice) };
}

/** Whole numbers by chance, the same for the same seed. */
class Dice {
  readonly #words: Uint32Array;
  #next = 0;

  constructor(seed: number) {
    const bytes = noise(16 * 1024, seed + 1);
    this.#words = new Uint32Array(bytes.buffer, 0, bytes.byteLength / 4);
  }

  /** 0 to `sides` - 1. */
  roll(sides: number): number {
    this.#next = (this.#next + 1) % this.#words.length;
    return sides === 0 ? 0 : (this.#words[this.#next] ?? 0) % sides;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.roll(values.length)] as T;
  }
}

type Change = (init: ModelInit, dice: Dice) => Uint8Array;

/** Sizes that somebody multiplies, adds to, or makes signed. */
const SIZES = [0, 1, 7, 2 ** 16, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 52, -1, -(2 ** 31)];

/** Attributes of many operators, with values that none of them expects. */
const ATTRIBUTES = [
  'axis',
  'axes',
  'to',
  'kernel_shape',
  'pads',
  'strides',
  'hidden_size',
  'group',
];

/** Operators that read what they are given in quite different ways. */
const OPERATORS = [
  ...[
    'Conv',
    'LSTM',
    'Gather',
    'Reshape',
    'Resize',
    'Slice',
    'Split',
    'Concat',
    'TopK',
    'Loop',
    'If',
  ],
  ...[
    'Scan',
    'Cast',
    'MatMul',
    'Gemm',
    'NonMaxSuppression',
    'Pad',
    'Einsum',
    'ScatterND',
    'Unique',
  ],
  ...['StringNormalizer', 'TfIdfVectorizer', 'QuantizeLinear', 'ConstantOfShape', 'RandomNormal'],
];

const WAYS: readonly (readonly [string, Change])[] = [
  ['with bits flipped', (init, dice) => flip(buildModel(init), dice, 1)],
  ['with many bits flipped', (init, dice) => flip(buildModel(init), dice, 24)],
  ['cut short', cut],
  ['with bytes replaced by noise', replace],
  ['with bytes twice', (init, dice) => splice(buildModel(init), dice, 'twice')],
  ['with bytes left out', (init, dice) => splice(buildModel(init), dice, 'out')],
  ['with a length that lies', lie],
  ['with fields in another order', shuffle],
  ['followed by itself', (init) => Buffer.concat([buildModel(init), buildModel(init)])],
  ['with initializers twice', twice],
  ['with a huge or negative size', resize],
  ['with other datatypes', retype],
  ['with other operators', renameOperators],
  ['wired otherwise', rewire],
  ['with attributes nobody expects', attribute],
  ['with data in a file elsewhere', externalise],
  ['of another version', reversion],
];

function flip(model: Uint8Array, dice: Dice, count: number): Uint8Array {
  for (let left = count; left > 0; left -= 1) {
    const at = dice.roll(model.length);
    model[at] = (model[at] ?? 0) ^ (1 << dice.roll(8));
  }
  return model;
}

function cut(init: ModelInit, dice: Dice): Uint8Array {
  const model = buildModel(init);
  return model.subarray(0, dice.roll(model.length));
}

function replace(init: ModelInit, dice: Dice): Uint8Array {
  const model = buildModel(init);
  const at = dice.roll(model.length);
  model.set(noise(Math.min(1 + dice.roll(32), model.length - at), dice.roll(2 ** 31)), at);
  return model;
}

function splice(model: Uint8Array, dice: Dice, how: 'twice' | 'out'): Uint8Array {
  const from = dice.roll(model.length);
  const to = Math.min(model.length, from + 1 + dice.roll(64));
  return Buffer.concat([
    model.subarray(0, how === 'twice' ? to : from),
    model.subarray(how === 'twice' ? from : to),
  ]);
}

/** A field of the graph, found by its tag, says that it is longer or shorter than it is. */
function lie(init: ModelInit, dice: Dice): Uint8Array {
  const model = buildModel(init);
  const lengths = [...model.keys()].filter(
    (at) => (model[at] ?? 0) % 8 === 2 && at + 1 < model.length,
  );
  const at = dice.pick(lengths) + 1;
  const told = encodeVarint(
    dice.pick([0n, 1n, 127n, 2n ** 20n, 2n ** 31n, 2n ** 63n, 2n ** 64n - 1n]),
  );
  return Buffer.concat([model.subarray(0, at), told, model.subarray(at + 1)]);
}

function shuffle(init: ModelInit, dice: Dice): Uint8Array {
  const shuffled = <T>(values: readonly T[] = []): T[] =>
    values
      .map((value) => ({ value, order: dice.roll(2 ** 30) }))
      .toSorted((a, b) => a.order - b.order)
      .map(({ value }) => value);
  return buildModel({
    ...init,
    nodes: shuffled(init.nodes),
    inputs: shuffled(init.inputs),
    outputs: shuffled([...init.outputs, ...init.inputs]),
    initializers: shuffled(init.initializers),
  });
}

function twice(init: ModelInit, dice: Dice): Uint8Array {
  const spare: InitializerInit = { name: 'spare', datatype: 'FP32', shape: [2], data: [1, 2] };
  const one = dice.pick(init.initializers?.length === 0 ? [spare] : (init.initializers ?? [spare]));
  // Now and then under a name that is taken already: by an input, or by what a node makes.
  const names = [
    one.name,
    ...init.inputs.map(({ name }) => name),
    ...init.nodes.flatMap(({ outputs }) => outputs),
  ];
  return buildModel({
    ...init,
    initializers: [...(init.initializers ?? []), one, { ...one, name: dice.pick(names) }],
  });
}

function resize(init: ModelInit, dice: Dice): Uint8Array {
  const resized = <T extends { readonly shape?: readonly unknown[] }>(value: T): T => ({
    ...value,
    shape: [...(value.shape ?? []).slice(dice.roll(2)), dice.pick(SIZES)],
  });
  const part = dice.pick(['inputs', 'outputs', 'initializers'] as const);
  const values = (init[part] ?? []) as readonly (ValueInit & InitializerInit)[];
  return buildModel({ ...init, [part]: values.map(resized) });
}

function retype(init: ModelInit, dice: Dice): Uint8Array {
  const retyped = <T extends ValueInit>(value: T): T => ({ ...value, datatype: dice.roll(30) });
  const initializers = (init.initializers ?? []).map((value) => {
    const data = value.data instanceof Uint8Array ? value.data : noise(8, dice.roll(100));
    return dice.roll(2) === 0 ? value : { ...value, data, datatype: dice.roll(30) };
  });
  return dice.roll(2) === 0
    ? buildModel({ ...init, initializers })
    : buildModel({ ...init, inputs: init.inputs.map(retyped), outputs: init.outputs.map(retyped) });
}

function renameOperators(init: ModelInit, dice: Dice): Uint8Array {
  const domains = [undefined, undefined, 'ai.onnx.ml', 'com.microsoft', 'nobody.knows'];
  return changeNode(init, dice, (node) => {
    const domain = dice.pick(domains);
    const renamed = { ...node, op: dice.pick(OPERATORS) };
    return domain === undefined ? renamed : { ...renamed, domain };
  });
}

function rewire(init: ModelInit, dice: Dice): Uint8Array {
  const names = [
    ...[...init.inputs, ...init.outputs, ...(init.initializers ?? [])].map(({ name }) => name),
    ...init.nodes.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]),
    ...['', 'nowhere'],
  ];
  return changeNode(init, dice, (node) => ({
    ...node,
    inputs: [...node.inputs, ''].slice(0, 1 + dice.roll(4)).map(() => dice.pick(names)),
    outputs: dice.roll(3) === 0 ? [dice.pick(names)] : node.outputs,
  }));
}

function attribute(init: ModelInit, dice: Dice): Uint8Array {
  const int = dice.pick(SIZES);
  const value = dice.pick([
    { int },
    { ints: [int, dice.pick(SIZES)] },
    { string: 'NOTSET' },
    { graph: init },
    { tensor: { datatype: 'INT64', shape: [int], data: [1n] } },
  ] as const);
  return changeNode(init, dice, (node) => ({
    ...node,
    attributes: { ...node.attributes, [dice.pick(ATTRIBUTES)]: value },
  }));
}

function externalise(init: ModelInit, dice: Dice): Uint8Array {
  const one: InitializerInit = { name: 'w', datatype: 'FP32', shape: [2], data: [1, 2] };
  const location = dice.pick([
    '../model.onnx',
    '/etc/passwd',
    'model.onnx',
    'weights.bin',
    '',
    '*/_ORT_MEM_ADDR_/*',
  ]);
  const offset = dice.pick([0, 4, 2 ** 40, '-8', '18446744073709551608']);
  const length = dice.pick([8, 0, '99999999999', 'eight']);
  const initializers = (init.initializers ?? [one]).map(({ name, datatype, shape }) => ({
    ...{ name, datatype, shape },
    external: { location, offset, length },
  }));
  return buildModel({ ...init, initializers });
}

function reversion(init: ModelInit, dice: Dice): Uint8Array {
  const opset = dice.pick([0, 1, 6, 9, 13, 99, 2 ** 31, -1]);
  const irVersion = dice.pick([0, 1, 3, 10, 13, 99, 2 ** 40, 8]);
  return buildModel({ ...init, opset, irVersion });
}

function changeNode(init: ModelInit, dice: Dice, change: (node: NodeInit) => NodeInit): Uint8Array {
  const at = dice.roll(init.nodes.length);
  return buildModel({
    ...init,
    nodes: init.nodes.map((node, index) => (index === at ? change(node) : node)),
  });
}
