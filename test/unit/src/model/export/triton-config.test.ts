import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../../../../src/model/byte-source.ts';
import { describeForTriton } from '../../../../../src/model/export/triton-config.ts';
import { ConfigMessage } from '../../../../../src/model/import/config-message.ts';
import { parseLabelFile } from '../../../../../src/model/import/label-file.ts';
import { mapTritonConfig } from '../../../../../src/model/import/triton-settings.ts';
import type { OnnxGraph } from '../../../../../src/model/onnx-graph.ts';
import { readOnnxGraph } from '../../../../../src/model/onnx-reader.ts';
import type { PackageSettings } from '../../../../../src/model/package-file.ts';
import { buildModel, type ValueInit } from '../../../../support/onnx-builder.ts';

const graphOf = async (
  inputs: readonly ValueInit[],
  outputs: readonly ValueInit[],
): Promise<OnnxGraph> => readOnnxGraph(memorySource(buildModel({ inputs, outputs, nodes: [] })));

const batched = await graphOf(
  [
    { name: 'x', datatype: 'FP32', shape: ['batch', 3, 'height', 8] },
    { name: 'text "in"', datatype: 'BYTES', shape: [null] },
  ],
  [{ name: 'y', datatype: 'FP16', shape: ['batch', 2] }],
);

const describeIt = (settings: PackageSettings, graph = batched, entry = 'model.onnx') =>
  describeForTriton(entry, graph, settings);

describe('describeForTriton', () => {
  it('writes a model that says nothing with its whole shapes, and no batch size', () => {
    expect(describeIt({})).toEqual({
      config: `# A model of a swarm: 'swarm models import' takes this folder back.
backend: "onnxruntime"
input [
  {
    name: "x"
    data_type: TYPE_FP32
    dims: [ -1, 3, -1, 8 ]
  },
  {
    name: "text \\"in\\""
    data_type: TYPE_STRING
    dims: [ -1 ]
  }
]
output [
  {
    name: "y"
    data_type: TYPE_FP16
    dims: [ -1, 2 ]
  }
]
`,
      labels: undefined,
      notes: [],
    });
  });

  it('leaves the batch dimension out where there is a batch size', async () => {
    const graph = await graphOf(
      [{ name: 'x', datatype: 'INT64', shape: [null, 4] }],
      [{ name: 'y', datatype: 'BOOL', shape: ['n', 1] }],
    );
    const deployment = { maxBatch: 8, maxBatchDelayMs: 0.5, maxQueued: 32 };
    const { config, notes } = describeIt({ deployment }, graph, 'net.onnx');
    expect(config).toContain('default_model_filename: "net.onnx"\nmax_batch_size: 8\n');
    expect(config).toContain('data_type: TYPE_INT64\n    dims: [ 4 ]');
    expect(config).toContain(
      'dynamic_batching {\n  max_queue_delay_microseconds: 500\n  default_queue_policy {\n    max_queue_size: 32\n  }\n}\n',
    );
    expect(notes).toEqual([]);
  });

  it('writes labels beside the output that they are of', () => {
    const settings: PackageSettings = {
      classLabels: ['cat', 'dog'],
      answer: { kind: 'argmax', output: 'y' },
    };
    const { config, labels, notes } = describeIt(settings);
    expect(labels).toBe('cat\ndog\n');
    expect(config).toContain('dims: [ -1, 2 ]\n    label_filename: "labels.txt"');
    expect(notes).toEqual([]);
  });

  it.each<[what: string, settings: PackageSettings]>([
    [
      'labels with a line end',
      { classLabels: ['a\nb', 'c'], answer: { kind: 'argmax', output: 'y' } },
    ],
    [
      'labels that are not as many as the classes',
      { classLabels: ['a'], answer: { kind: 'argmax', output: 'y' } },
    ],
    ['labels of a ranking', { classLabels: ['a', 'b'], answer: { kind: 'ranking', output: 'y' } }],
  ])('writes no %s, and says so', (_what, settings) => {
    const { config, labels, notes } = describeIt(settings);
    expect(labels).toBeUndefined();
    expect(config).not.toContain('label_filename');
    expect(notes).toEqual([
      "Triton's configuration does not say classLabels, answer; swarm.json still does",
    ]);
  });

  it('says which settings have no place in the configuration', () => {
    const { notes } = describeIt({
      entry: 'model.onnx',
      metadata: { task: 'x' },
      deployment: {
        minReplicas: 3,
        maxQueued: 5,
        providers: ['webgpu', 'cpu'],
        session: { graphOptimizationLevel: 'layout' },
      },
    });
    expect(notes).toEqual([
      "Triton's configuration does not say metadata, deployment.minReplicas, deployment.maxQueued, deployment.providers, deployment.session.graphOptimizationLevel; swarm.json still does",
    ]);
  });

  it('writes no batch size where an output does not count rows in its first dimension', async () => {
    const graph = await graphOf(
      [{ name: 'x', datatype: 'FP32', shape: ['batch', 4] }],
      [{ name: 'y', datatype: 'FP32', shape: [1] }],
    );
    const { config, notes } = describeIt({ deployment: { maxBatch: 4 } }, graph);
    expect(config).not.toContain('max_batch_size');
    expect(notes).toEqual([expect.stringContaining('deployment.maxBatch')]);
  });

  it('writes scalars as Triton can have them, and notes what it cannot', async () => {
    const graph = await graphOf(
      [
        { name: 's', datatype: 'FP32', shape: [] },
        { name: 'none', datatype: 'FP32', shape: [0, 2] },
      ],
      [{ name: 'y', datatype: 'FP32' }],
    );
    const { config, notes } = describeIt({}, graph);
    expect(config).toContain('dims: [ 1 ]\n    reshape {\n      shape: [ ]\n    }\n');
    expect(notes).toEqual([
      "input 'none' has a dimension of 0, which Triton refuses",
      "output 'y' declares no shape, fill in its dims before Triton loads it",
    ]);
  });

  it('writes only what the import reads back as it was', () => {
    const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
    const deployment = fc.record({
      maxBatch: optional(fc.constantFrom(1, 2, 8, 4096)),
      batchDimension: optional(fc.constantFrom(0, 1)),
      maxBatchDelayMs: optional(fc.constantFrom(0, 0.0001, 0.25, 2)),
      maxQueued: optional(fc.constantFrom(1, 64, 65_536)),
      minReplicas: optional(fc.constantFrom(0, 1, 5)),
      providers: optional(
        fc.shuffledSubarray(['cuda', 'dml', 'coreml', 'webgpu', 'cpu'] as const, { minLength: 1 }),
      ),
      session: optional(
        fc.record({
          graphOptimizationLevel: optional(
            fc.constantFrom('disabled', 'basic', 'extended', 'layout', 'all'),
          ),
          intraOpThreads: optional(fc.constantFrom(1, 512)),
          memoryPattern: optional(fc.boolean()),
        }),
      ),
    });
    const labels = fc.constantFrom(['a', 'b'], ['', ''], ['ä', '#"\\'], ['a\r', 'b'], ['a']);
    fc.assert(
      fc.property(
        deployment,
        optional(labels),
        fc.constantFrom('model.onnx', 'n.onnx'),
        (wanted, classLabels, entry) => {
          const given = JSON.parse(
            JSON.stringify({
              deployment: wanted,
              ...(classLabels === undefined
                ? {}
                : { classLabels, answer: { kind: 'argmax', output: 'y' } }),
            }),
          ) as PackageSettings;
          const described = describeIt(given, batched, entry);
          const config = ConfigMessage.parse('config.pbtxt', described.config);
          // What the import reads before it knows the graph.
          expect(config.text('default_model_filename') ?? 'model.onnx').toBe(entry);
          const read = mapTritonConfig(config, batched);
          const { session = {}, ...fields } = read.settings.deployment ?? {};
          expect(given.deployment).toMatchObject(fields);
          expect(given.deployment?.session ?? {}).toMatchObject(session);
          expect(read.labels).toHaveLength(described.labels === undefined ? 0 : 1);
          if (described.labels !== undefined) {
            expect(parseLabelFile('labels.txt', Buffer.from(described.labels))).toEqual(
              classLabels,
            );
          }
          // Triton has no scalar for a row: its callers send one element more.
          expect(read.notes.filter((note) => !note.includes('callers send [?]'))).toEqual([]);
        },
      ),
      { numRuns: 300 },
    );
  });
});
