import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DATATYPES } from '../../../../protocols/datatype.ts';
import { isSwarmError } from '../../../../protocols/errors.ts';
import { memorySource } from '../../../../src/model/byte-source.ts';
import type { OnnxGraph } from '../../../../src/model/onnx-graph.ts';
import { readOnnxGraph } from '../../../../src/model/onnx-reader.ts';
import {
  buildModel,
  ELEMENT_TYPES,
  encodeGraph,
  type GraphInit,
  type ModelInit,
  mapType,
  optionalType,
  sequenceType,
  tensorType,
} from '../../../support/onnx-builder.ts';
import { present } from '../../../support/present.ts';
import { ProtobufWriter } from '../../../support/protobuf-writer.ts';

async function read(init: ModelInit | Uint8Array): Promise<OnnxGraph> {
  return readOnnxGraph(memorySource(init instanceof Uint8Array ? init : buildModel(init)));
}

/** The code of an error of ours, the error itself otherwise. */
function codeOf(error: unknown): unknown {
  return isSwarmError(error) ? error.code : error;
}

const LINEAR: ModelInit = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: ['batch', 2] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 2] }],
  nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
  initializers: [{ name: 'w', datatype: 'FP32', shape: [2], data: [1, 2] }],
};

describe('readOnnxGraph', () => {
  it('tells what a model declares and where its weights lie', async () => {
    const bytes = buildModel({ ...LINEAR, metadata: { author: 'x', __proto__: 'y' } });
    const graph = await read(bytes);
    expect(graph).toMatchObject({
      fileBytes: bytes.byteLength,
      irVersion: 8,
      producer: 'onnx-builder',
      opsets: [{ domain: '', version: 17 }],
      operators: [{ domain: '', type: 'Add', count: 1 }],
      nodeCount: 1,
      expandedNodeCount: 1,
      maxSubgraphDepth: 0,
      externalFiles: [],
      weightBytes: 8,
      metadata: { author: 'x' },
    });
    expect(graph.inputs).toEqual([
      { kind: 'tensor', name: 'x', datatype: 'FP32', shape: ['batch', 2], ranked: true },
    ]);
    const { location } = present(graph.tensors[0]);
    expect(location).toEqual({ kind: 'inline', offset: expect.any(Number), storedBytes: 8 });
    const { offset } = location;
    expect([...new Float32Array(bytes.slice(offset, offset + 8).buffer)]).toEqual([1, 2]);
  });

  it.each(DATATYPES)('reads an input of %s', async (datatype) => {
    const { inputs } = await read({
      ...LINEAR,
      inputs: [{ name: 'x', datatype, shape: [null, -1, 0, 5, 'n'] }],
    });
    expect(inputs).toEqual([
      { kind: 'tensor', name: 'x', datatype, shape: [null, null, 0, 5, 'n'], ranked: true },
    ]);
  });

  it('names types that requests cannot carry as ONNX writes them', async () => {
    const float = tensorType('FP32');
    const { outputs } = await read({
      ...LINEAR,
      outputs: [
        { name: 'a', type: sequenceType(mapType('INT64', float)) },
        { name: 'b', type: optionalType(float) },
        { name: 'c', datatype: 16, shape: [1] },
        { name: 'd', type: new Uint8Array(0) },
      ],
    });
    expect(outputs.map((output) => (output.kind === 'unsupported' ? output.type : ''))).toEqual([
      'seq(map(int64,tensor(float)))',
      'optional(tensor(float))',
      'tensor(bfloat16)',
      'undeclared',
    ]);
  });

  it('tells an undeclared rank from a scalar', async () => {
    const { inputs } = await read({
      ...LINEAR,
      inputs: [
        { name: 'scalar', datatype: 'FP32', shape: [] },
        { name: 'any', datatype: 'FP32' },
      ],
    });
    expect(inputs).toMatchObject([{ ranked: true }, { ranked: false }]);
  });

  it('leaves out inputs that an initializer fills', async () => {
    const { inputs } = await read({
      ...LINEAR,
      inputs: [...LINEAR.inputs, { name: 'w', datatype: 'FP32', shape: [2] }],
    });
    expect(inputs.map(({ name }) => name)).toEqual(['x']);
  });

  it('finds nodes, depth and weights in subgraphs, attributes and functions', async () => {
    const leaf: GraphInit = {
      inputs: [],
      outputs: [{ name: 'o', datatype: 'FP32', shape: [] }],
      nodes: [{ op: 'Identity', inputs: ['c'], outputs: ['o'] }],
      initializers: [{ name: 'c', datatype: 'FP32', shape: [3], data: [1, 2, 3] }],
    };
    const branch: GraphInit = {
      inputs: [],
      outputs: leaf.outputs,
      nodes: [{ op: 'If', inputs: ['x'], outputs: ['o'], attributes: { body: { graph: leaf } } }],
    };
    const values = { datatype: 'FP32', shape: [2], data: [1, 2] } as const;
    const graph = await read({
      ...LINEAR,
      nodes: [
        { op: 'If', inputs: ['x'], outputs: ['y'], attributes: { body: { graph: branch } } },
        { op: 'Constant', inputs: [], outputs: ['k'], attributes: { value: { tensor: values } } },
        {
          op: 'Constant',
          inputs: [],
          outputs: ['s'],
          attributes: {
            sparse: {
              sparseTensor: {
                values,
                indices: { datatype: 'INT64', shape: [2], data: [0n, 5n] },
              },
            },
          },
        },
        { op: 'Twice', domain: 'own', inputs: ['x'], outputs: ['z'] },
      ],
      functions: [
        {
          domain: 'own',
          name: 'Twice',
          inputs: ['a'],
          outputs: ['b'],
          nodes: [
            { op: 'Add', inputs: ['a', 'a'], outputs: ['t'] },
            { op: 'Add', inputs: ['t', 'a'], outputs: ['b'] },
          ],
        },
      ],
    });
    expect(graph.maxSubgraphDepth).toBe(2);
    expect(graph.nodeCount).toBe(8);
    expect(graph.expandedNodeCount).toBe(7);
    expect(graph.functions).toEqual([{ domain: 'own', name: 'Twice' }]);
    expect(graph.tensors.map(({ role, byteLength }) => [role, byteLength])).toEqual([
      ['initializer', 12],
      ['attribute', 8],
      ['sparse', 8],
      ['sparse', 16],
      ['initializer', 8],
    ]);
    expect(graph.outputs.map(({ name }) => name)).toEqual(['y']);
  });

  it('lists each external file once, with hostile names as they are', async () => {
    const external = { location: '../../etc/passwd', offset: 4, length: 8 };
    const { externalFiles, tensors } = await read({
      ...LINEAR,
      initializers: [
        { name: 'a', datatype: 'FP32', shape: [2], external },
        { name: 'b', datatype: 'FP32', shape: [2], external: { location: '../../etc/passwd' } },
      ],
    });
    expect(externalFiles).toEqual(['../../etc/passwd']);
    expect(tensors.map(({ location }) => location)).toEqual([
      { kind: 'external', file: '../../etc/passwd', offset: 4, length: 8 },
      { kind: 'external', file: '../../etc/passwd', offset: 0, length: null },
    ]);
  });

  it.each(['-1', '1e3', '0x10', '99999999999999999', ''])(
    'refuses external data at offset %j',
    async (offset) => {
      const external = { location: 'w.bin', offset };
      const initializers = [{ name: 'w', datatype: 'FP32', shape: [2], external } as const];
      await expect(read({ ...LINEAR, initializers })).rejects.toThrow(
        'expected whole numbers of bytes',
      );
    },
  );
});

describe('readOnnxGraph on hostile files', () => {
  it('refuses a model at every cut of its bytes, or finds it whole', async () => {
    const bytes = buildModel(LINEAR);
    for (let length = 0; length < bytes.byteLength; length += 1) {
      const found = await read(bytes.subarray(0, length)).then(
        ({ tensors }) => tensors.length,
        codeOf,
      );
      // Behind the graph only the operator set follows: without it the file is a shorter, well-formed one.
      expect(['ERR_INVALID_MODEL', 1]).toContain(found);
    }
    await expect(read(bytes.subarray(0, bytes.byteLength >> 1))).rejects.toThrow('truncated?');
  });

  it('says of which file it speaks', async () => {
    const reading = readOnnxGraph(memorySource(new Uint8Array(0)), { fileName: 'digits.onnx' });
    await expect(reading).rejects.toMatchObject({
      message: 'digits.onnx: expected an ONNX protobuf, found an empty file',
      details: { file: 'digits.onnx' },
    });
  });

  it('refuses a file without a graph and one with two', async () => {
    await expect(read(new ProtobufWriter().varint(1, 8).finish())).rejects.toThrow(
      'found IR version 8 without a graph',
    );
    await expect(read(new ProtobufWriter().bytes(99, 'x').finish())).rejects.toThrow(
      'found no field of one',
    );
    const model = buildModel(LINEAR);
    await expect(read(Buffer.concat([model, model]))).rejects.toThrow('more than one graph');
  });

  it('reads a graph of nodes that feed each other: order is the runtime’s business', async () => {
    const { nodeCount } = await read({
      ...LINEAR,
      nodes: [
        { op: 'Add', inputs: ['x', 'b'], outputs: ['a'] },
        { op: 'Add', inputs: ['a', 'x'], outputs: ['b'] },
      ],
    });
    expect(nodeCount).toBe(2);
  });

  it('counts the nodes of a bomb of functions without expanding it', async () => {
    const functions = Array.from({ length: 40 }, (_, index) => ({
      domain: 'own',
      name: `F${index}`,
      inputs: ['a'],
      outputs: ['b'],
      nodes: ['t', 'b'].map((output) => ({
        op: index === 39 ? 'Relu' : `F${index + 1}`,
        domain: index === 39 ? '' : 'own',
        inputs: ['a'],
        outputs: [output],
      })),
    }));
    const nodes = [{ op: 'F0', domain: 'own', inputs: ['x'], outputs: ['y'] }];
    expect((await read({ ...LINEAR, nodes, functions })).expandedNodeCount).toBe(2 ** 40);
  });

  it('refuses subgraphs within subgraphs without end', async () => {
    let graph: GraphInit = { inputs: [], outputs: [], nodes: [] };
    for (let level = 0; level < 60; level += 1) {
      graph = {
        inputs: [],
        outputs: [],
        nodes: [{ op: 'If', inputs: [], outputs: [], attributes: { body: { graph } } }],
      };
    }
    await expect(read({ ...LINEAR, nodes: graph.nodes })).rejects.toThrow('messages nest deeper');
  });

  it('refuses a file made of nothing but names before they fill the memory', async () => {
    const graph = encodeGraph({
      inputs: [],
      outputs: [],
      nodes: [],
      initializers: Array.from({ length: 600 }, (_, index) => ({
        name: `${index}`.padEnd(128 * 1024, 'x'),
        datatype: 'FP32' as const,
        shape: [0],
      })),
    });
    await expect(read(new ProtobufWriter().bytes(7, graph).finish())).rejects.toThrow(
      'take more than 134217728 bytes of memory',
    );
  });

  it('only ever throws ERR_INVALID_MODEL, whatever byte of a model is another', async () => {
    const bytes = buildModel({
      ...LINEAR,
      functions: [{ domain: 'd', name: 'F', inputs: [], outputs: [], nodes: LINEAR.nodes }],
      outputs: [{ name: 'y', type: sequenceType(tensorType('FP32', [1, 'n'])) }],
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(bytes.byteLength - 1), fc.nat(255)), { maxLength: 4 }),
        async (changes) => {
          const changed = bytes.slice();
          for (const [index, value] of changes) changed[index] = value;
          const code = await read(changed).then(() => undefined, codeOf);
          expect([undefined, 'ERR_INVALID_MODEL']).toContain(code);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('keeps at most 256 dimensions of a shape', async () => {
    const shape = Array.from({ length: 10_000 }, () => 1);
    const { inputs, tensors } = await read({
      ...LINEAR,
      inputs: [{ name: 'x', datatype: 'FP32', shape }],
      initializers: [{ name: 'w', datatype: ELEMENT_TYPES.FP32, shape, data: new Uint8Array(4) }],
    });
    expect(inputs[0]).toHaveProperty('shape.length', 256);
    expect(tensors[0]?.shape).toHaveLength(256);
  });
});
