import { describe, expect, it } from 'vitest';
import { memorySource } from '../../../../src/model/byte-source.ts';
import {
  checkExternalFiles,
  checkOnnxGraph,
  type ModelInterface,
  type ModelLimits,
} from '../../../../src/model/model-scan.ts';
import type { OnnxGraph } from '../../../../src/model/onnx-graph.ts';
import { readOnnxGraph } from '../../../../src/model/onnx-reader.ts';
import {
  buildModel,
  type GraphInit,
  type InitializerInit,
  type ModelInit,
  mapType,
  type NodeInit,
  sequenceType,
  tensorType,
} from '../../../support/onnx-builder.ts';
import { refusal } from '../../../support/refusal.ts';

const LINEAR: ModelInit = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 2] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 2] }],
  nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
  initializers: [{ name: 'w', datatype: 'FP32', shape: [2], data: [1, 2] }],
};

async function graphOf(changes: Partial<ModelInit>): Promise<OnnxGraph> {
  return readOnnxGraph(memorySource(buildModel({ ...LINEAR, ...changes })), { fileName: 'm.onnx' });
}

async function check(
  changes: Partial<ModelInit>,
  limits: ModelLimits = {},
): Promise<ModelInterface> {
  return checkOnnxGraph(await graphOf(changes), limits);
}

/** Matches a refusal by what its message holds. */
function refused(message: string | RegExp): unknown {
  const pattern =
    typeof message === 'string'
      ? new RegExp(message.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
      : message;
  return refusal('ERR_INVALID_MODEL', pattern);
}

const relu = (domain: string): NodeInit => ({ op: 'Relu', domain, inputs: ['x'], outputs: ['y'] });

describe('checkOnnxGraph', () => {
  it('tells what callers may send and get', async () => {
    expect(await check({})).toEqual({
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 2] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 2] }],
      omittedOutputs: [],
      controlFlow: [],
      loops: [],
    });
  });

  it('takes the domains that the runtime registers and names one that it does not', async () => {
    for (const domain of ['', 'ai.onnx', 'ai.onnx.ml', 'com.microsoft']) {
      await expect(check({ nodes: [relu(domain)] })).resolves.toBeDefined();
    }
    await expect(check({ nodes: [relu('ai.onnx.contrib')] })).rejects.toEqual(
      refused(
        "m.onnx uses operator 'Relu' of domain 'ai.onnx.contrib', expected domains ai.onnx, ai.onnx.ml, com.microsoft",
      ),
    );
    await expect(
      check(
        { nodes: [relu('com.microsoft')] },
        {
          domains: ['ai.onnx'],
        },
      ),
    ).rejects.toEqual(refused('expected domains ai.onnx'));
  });

  it('takes operators of any domain that the model itself defines', async () => {
    const functions = [
      { domain: 'own', name: 'Relu', inputs: ['a'], outputs: ['b'], nodes: [relu('')] },
    ];
    await expect(check({ nodes: [relu('own')], functions })).resolves.toBeDefined();
  });

  it('refuses code compiled for one device', async () => {
    for (const op of ['EPContext', 'Snpe']) {
      await expect(check({ nodes: [{ ...relu('com.microsoft'), op }] })).rejects.toEqual(
        refused('compiled for one device only'),
      );
    }
  });

  it('names control flow, by which the running time depends on the input', async () => {
    const body: GraphInit = { inputs: [], outputs: [], nodes: [] };
    const nodes = ['If', 'Loop', 'Scan'].map(
      (op): NodeInit => ({ op, inputs: ['x'], outputs: ['y'], attributes: { b: { graph: body } } }),
    );
    const found = await check({ nodes });
    expect(found.controlFlow).toEqual(['If', 'Loop', 'Scan']);
    expect(found.loops).toEqual(['Loop', 'Scan']);
  });

  it.each(['Loop', 'Scan', 'SequenceMap', 'BeamSearch', 'GreedySearch'])(
    'refuses %s where loops are refused, wherever it hides, and an If nowhere',
    async (op) => {
      const domain = op.endsWith('Search') ? 'com.microsoft' : '';
      const loop: NodeInit = { op, domain, inputs: ['x'], outputs: ['y'] };
      const body: GraphInit = { inputs: [], outputs: [], nodes: [loop] };
      const branch: NodeInit = {
        op: 'If',
        inputs: ['x'],
        outputs: ['y'],
        attributes: { then_branch: { graph: { ...body, nodes: [relu('')] } } },
      };
      const hidden = { ...branch, attributes: { then_branch: { graph: body } } };
      const functions = [
        { domain: 'own', name: 'Relu', inputs: ['x'], outputs: ['y'], nodes: [loop] },
      ];
      for (const changes of [
        { nodes: [loop] },
        { nodes: [hidden] },
        { nodes: [relu('own')], functions },
      ]) {
        await expect(check(changes)).resolves.toMatchObject({ loops: [op] });
        await expect(check(changes, { refuseLoops: true })).rejects.toEqual(
          refused(`m.onnx uses operator '${op}', which may never end`),
        );
      }
      await expect(check({ nodes: [branch] }, { refuseLoops: true })).resolves.toBeDefined();
    },
  );

  it('bounds what inputs and outputs take by their declared shapes', async () => {
    const value = (name: string, shape: number[]) => [
      { name, datatype: 'FP32' as const, shape: ['n', ...shape] },
    ];
    const limits = { maxValueBytes: 4_000 };
    await expect(check({ inputs: value('x', [1_000]) }, limits)).resolves.toBeDefined();
    await expect(check({ inputs: value('x', [1_001]) }, limits)).rejects.toEqual(
      refused("has input 'x' of shape [1, 1001], which takes 4004 bytes, expected at most 4000"),
    );
    await expect(check({ outputs: value('y', [1_001]) }, limits)).rejects.toEqual(
      refused("has output 'y' of shape [1, 1001]"),
    );
    // By default what one request or answer can carry; a size of 0 hides no other.
    await expect(check({ inputs: value('x', [2 ** 28]) })).resolves.toBeDefined();
    for (const shape of [[2 ** 28 + 1], [2 ** 62, 2 ** 62], [0, 2 ** 62]]) {
      await expect(check({ inputs: value('x', shape) })).rejects.toEqual(
        refused('expected at most 1073741824'),
      );
    }
  });

  it('leaves out outputs that no answer can carry and needs one that can', async () => {
    const maps = {
      name: 'scores',
      type: sequenceType(mapType('INT64', tensorType('FP32'))),
    };
    const { outputs, omittedOutputs } = await check({
      outputs: [...LINEAR.outputs, maps, { name: '__proto__', datatype: 'FP32', shape: [] }],
    });
    expect(outputs.map(({ name }) => name)).toEqual(['y']);
    expect(omittedOutputs).toEqual([
      { name: 'scores', type: 'seq(map(int64,tensor(float)))' },
      { name: '__proto__', type: 'name that the runtime cannot return' },
    ]);
    await expect(check({ outputs: [maps] })).rejects.toEqual(
      refused("found 'scores' of type 'seq(map(int64,tensor(float"),
    );
    await expect(check({ outputs: [] })).rejects.toEqual(
      refused('expected at least one tensor, found none'),
    );
  });

  it('refuses inputs that requests cannot carry or that declare no shape', async () => {
    await expect(check({ inputs: [{ name: 'x', datatype: 16, shape: [1] }] })).rejects.toEqual(
      refused("has input 'x' of type 'tensor(bfloat16)', which requests cannot carry"),
    );
    await expect(check({ inputs: [{ name: 'x', datatype: 'FP32' }] })).rejects.toEqual(
      refused("input 'x' without a shape"),
    );
  });

  it('takes an output without a declared shape: the answer says what it is', async () => {
    const { outputs } = await check({ outputs: [{ name: 'y', datatype: 'FP32' }] });
    expect(outputs).toEqual([{ name: 'y', datatype: 'FP32', shape: [] }]);
  });

  it('refuses names that are empty, double or not text', async () => {
    const named = (...names: string[]): Partial<ModelInit> => ({
      inputs: names.map((name) => ({ name, datatype: 'FP32' as const, shape: [1] })),
    });
    await expect(check(named('__proto__', 'constructor', 'вход 入力'))).resolves.toBeDefined();
    await expect(check(named(''))).rejects.toEqual(refused("has an input whose name '' is empty"));
    await expect(check(named('a', 'a'))).rejects.toEqual(refused("whose name 'a' is used twice"));
    await expect(check(named('a\0'))).rejects.toEqual(refused('contains NUL'));
  });

  it('shows a hostile name cut short and without line ends', async () => {
    await expect(
      check({ inputs: [{ name: `a\nERROR ${'x'.repeat(100)}`, datatype: 16, shape: [] }] }),
    ).rejects.toEqual(refused(/^m\.onnx has input 'a\ufffdERROR x{56}…' of type/));
  });

  it('takes 32 dimensions and refuses 33, of inputs and of weights', async () => {
    const ones = (rank: number): number[] => Array.from({ length: rank }, () => 1);
    const input = (rank: number): Partial<ModelInit> => ({
      inputs: [{ name: 'x', datatype: 'FP32', shape: ones(rank) }],
    });
    await expect(check(input(32))).resolves.toBeDefined();
    await expect(check(input(33))).rejects.toEqual(
      refused("has input 'x' of 33 dimensions, expected at most 32"),
    );
    const weight = (rank: number): Partial<ModelInit> => ({
      initializers: [{ name: 'w', datatype: 'FP32', shape: ones(rank), data: [1] }],
    });
    await expect(check(weight(32))).resolves.toBeDefined();
    await expect(check(weight(33))).rejects.toEqual(
      refused('expected sizes from 0 in at most 32 dimensions'),
    );
  });

  it.each<[what: string, initializer: Partial<InitializerInit>, message: string]>([
    ['too short', { shape: [100], data: [1] }, '4 bytes of data, expected 400 for float[100]'],
    ['too long', { shape: [1], data: [1, 2] }, '8 bytes of data, expected 4 for float[1]'],
    ['absent', { shape: [1] }, '0 bytes of data, expected 4'],
    ['of negative size', { shape: [-1], data: [] }, 'of shape [-1], expected sizes from 0'],
    ['beyond any memory', { shape: [2 ** 40, 2 ** 40], data: [] }, 'bytes'],
    [
      'external and too short',
      { shape: [2], external: { location: 'w.bin', length: 4 } },
      '4 bytes of data, expected 8',
    ],
  ])('refuses an initializer that is %s', async (_what, initializer, message) => {
    const initializers = [{ name: 'w', datatype: 'FP32', shape: [], ...initializer } as const];
    await expect(check({ initializers })).rejects.toEqual(refused(message));
  });

  it('takes an empty initializer and one of strings', async () => {
    const initializers: InitializerInit[] = [
      { name: 'e', datatype: 'FP32', shape: [0] },
      { name: 's', datatype: 'BYTES', shape: [2], data: ['a', ''] },
    ];
    await expect(check({ initializers })).resolves.toBeDefined();
  });

  it.each(['../w.bin', '/etc/passwd', 'a/b', '', '_ORT_MEM_ADDR_'])(
    'refuses weights in external file %j',
    async (location) => {
      const external = { location };
      const initializers = [{ name: 'w', datatype: 'FP32', shape: [2], external } as const];
      await expect(check({ initializers })).rejects.toEqual(
        refused('keeps weights in external file'),
      );
    },
  );

  const deep = (levels: number): NodeInit[] => {
    let nodes: NodeInit[] = [];
    for (let level = 0; level < levels; level += 1) {
      const graph: GraphInit = { inputs: [], outputs: [], nodes };
      nodes = [{ op: 'If', inputs: ['x'], outputs: ['y'], attributes: { body: { graph } } }];
    }
    return nodes;
  };
  const values = (count: number) =>
    Array.from({ length: count }, (_, index) => ({
      name: `v${index}`,
      datatype: 'FP32' as const,
      shape: [1],
    }));
  const external = (count: number): InitializerInit[] =>
    Array.from({ length: count }, (_, index) => ({
      name: `w${index}`,
      datatype: 'FP32',
      shape: [1],
      external: { location: `w${index}.bin` },
    }));

  it.each<[what: string, limits: ModelLimits, under: Partial<ModelInit>, over: Partial<ModelInit>]>(
    [
      [
        'nodes',
        { maxNodes: 3 },
        { nodes: Array.from({ length: 3 }, () => relu('')) },
        { nodes: Array.from({ length: 4 }, () => relu('')) },
      ],
      ['levels of subgraphs', { maxSubgraphDepth: 2 }, { nodes: deep(2) }, { nodes: deep(3) }],
      ['levels of subgraphs', {}, { nodes: deep(20) }, { nodes: deep(33) }],
      ['inputs', {}, { inputs: values(1024) }, { inputs: values(1025) }],
      ['outputs', {}, { outputs: values(1024) }, { outputs: values(1025) }],
      [
        'stored tensors',
        { maxTensors: 2 },
        { initializers: external(2) },
        { initializers: external(3) },
      ],
      [
        'external files',
        { maxExternalFiles: 2 },
        { initializers: external(2) },
        { initializers: external(3) },
      ],
      [
        'bytes of weights',
        { maxWeightBytes: 8 },
        { initializers: external(2) },
        { initializers: external(3) },
      ],
    ],
  )('takes as many %s as it may have and refuses one more', async (what, limits, under, over) => {
    await expect(check(under, limits)).resolves.toBeDefined();
    await expect(check(over, limits)).rejects.toEqual(refused(`${what}, expected at most`));
  });

  it('refuses functions that expand without end', async () => {
    const functions = [
      { domain: 'own', name: 'Relu', inputs: ['a'], outputs: ['b'], nodes: [relu('own')] },
    ];
    await expect(check({ nodes: [relu('own')], functions })).rejects.toEqual(
      refused('has Infinity nodes with its functions'),
    );
  });
});

describe('checkExternalFiles', () => {
  const initializers: InitializerInit[] = [
    { name: 'a', datatype: 'FP32', shape: [2], external: { location: 'w.bin', length: 8 } },
    { name: 'b', datatype: 'FP32', shape: [2], external: { location: 'w.bin', offset: 8 } },
  ];

  it('passes when every file reaches as far as its tensors', async () => {
    const graph = await graphOf({ initializers });
    expect(() => checkExternalFiles(graph, new Map([['w.bin', 16]]))).not.toThrow();
  });

  it('names the tensor of a file that is one byte too short, or not there', async () => {
    const graph = await graphOf({ initializers });
    expect(() => checkExternalFiles(graph, new Map([['w.bin', 15]]))).toThrow(
      "m.onnx keeps tensor 'b' in 'w.bin' up to byte 16, the file has 15 bytes",
    );
    expect(() => checkExternalFiles(graph, new Map([['W.bin', 16]]))).toThrow(
      "keeps tensor 'a' in 'w.bin', which is not beside it",
    );
  });
});
