import { describe, expect, it } from 'vitest';
import { memorySource } from '../../../../../src/model/byte-source.ts';
import { ConfigMessage } from '../../../../../src/model/import/config-message.ts';
import {
  mapTritonConfig,
  type TritonSettings,
} from '../../../../../src/model/import/triton-settings.ts';
import type { OnnxGraph } from '../../../../../src/model/onnx-graph.ts';
import { readOnnxGraph } from '../../../../../src/model/onnx-reader.ts';
import { buildModel, type ModelInit, type ValueInit } from '../../../../support/onnx-builder.ts';

const graphOf = async (init: Partial<ModelInit>): Promise<OnnxGraph> =>
  readOnnxGraph(memorySource(buildModel({ inputs: [], outputs: [], nodes: [], ...init })));

const tensor = (name: string, shape?: ValueInit['shape']): ValueInit => ({
  name,
  datatype: 'FP32',
  ...(shape === undefined ? {} : { shape }),
});

const batched = await graphOf({
  inputs: [tensor('x', ['batch', 16])],
  outputs: [tensor('y', [null, 10])],
});

const map = (text: string, graph = batched): TritonSettings =>
  mapTritonConfig(ConfigMessage.parse('config.pbtxt', text), graph);

const deploymentOf = (text: string) => map(text).settings.deployment;

describe('mapTritonConfig', () => {
  it("takes Triton's own example as it is", () => {
    const { settings, notes, labels } = map(`
      name: "simple"
      platform: "onnxruntime_onnx"
      max_batch_size: 8
      input [ { name: "x" data_type: TYPE_FP32 dims: [ 16 ] } ]
      output [ { name: "y" data_type: TYPE_FP32 dims: [ 10 ] label_filename: "labels.txt" } ]
    `);
    expect(settings).toEqual({ deployment: { maxBatch: 8 } });
    expect(labels).toMatchObject([{ output: 'y', file: 'labels.txt' }]);
    expect(notes).toEqual([]);
  });

  it('says nothing for an empty configuration', () => {
    expect(map('')).toEqual({ settings: {}, labels: [], notes: [] });
  });

  it.each([
    ['max_batch_size: 0', { maxBatch: 1 }],
    ['max_batch_size: 1', { maxBatch: 1 }],
    ['max_batch_size: 4096', { maxBatch: 4096 }],
    ['max_batch_size: 4 dynamic_batching { }', { maxBatch: 4 }],
    [
      'max_batch_size: 4 dynamic_batching { max_queue_delay_microseconds: 500 }',
      { maxBatch: 4, maxBatchDelayMs: 0.5 },
    ],
    [
      'dynamic_batching { max_queue_delay_microseconds: 0 default_queue_policy { max_queue_size: 0 } }',
      undefined,
    ],
    ['dynamic_batching { default_queue_policy { max_queue_size: 64 } }', { maxQueued: 64 }],
    ['instance_group { count: 1 kind: KIND_AUTO }', undefined],
    ['instance_group { kind: KIND_CPU }', { providers: ['cpu'] }],
    ['instance_group { kind: 2 count: 3 }', { minReplicas: 3, providers: ['cpu'] }],
    ['instance_group [ { count: 1 }, { count: 2 } ]', { minReplicas: 3 }],
    ['instance_group { kind: KIND_GPU }', { providers: ['cuda', 'dml', 'coreml', 'webgpu'] }],
    ['instance_group { kind: KIND_MODEL }', undefined],
    ['optimization { graph { level: -1 } }', { session: { graphOptimizationLevel: 'basic' } }],
    ['optimization { graph { level: 1 } }', { session: { graphOptimizationLevel: 'extended' } }],
    ['optimization { graph { level: 2 } }', { session: { graphOptimizationLevel: 'disabled' } }],
    ['optimization { graph { level: 0 } }', undefined],
    [
      'parameters { key: "intra_op_thread_count" value { string_value: "2" } }',
      { session: { intraOpThreads: 2 } },
    ],
    [
      'parameters { key: "enable_mem_pattern" value { string_value: "0" } }',
      { session: { memoryPattern: false } },
    ],
    [
      'optimization { execution_accelerators { gpu_execution_accelerator : [ { name : "cuda" } ] } }',
      { providers: ['cuda', 'cpu'] },
    ],
    [
      'instance_group { kind: KIND_GPU } optimization { execution_accelerators { gpu_execution_accelerator { name : "cuda" } } }',
      { providers: ['cuda'] },
    ],
    [
      'optimization { execution_accelerators { gpu_execution_accelerator { name: "tensorrt" } } }',
      { providers: ['tensorrt', 'cuda', 'cpu'] },
    ],
  ])('maps %s, and has nothing to note', (text, deployment) => {
    expect(deploymentOf(text)).toEqual(deployment);
    expect(map(text).notes).toEqual([]);
  });

  it.each([
    [
      'max_batch_size: 4097',
      { maxBatch: 4096 },
      'field max_batch_size: 4097 is more than 4096, which is taken instead',
    ],
    [
      'dynamic_batching { max_queue_delay_microseconds: 2001 }',
      { maxBatchDelayMs: 2 },
      'field dynamic_batching.max_queue_delay_microseconds: 2.001 ms is more than 2 ms, which is taken instead',
    ],
    [
      'dynamic_batching { default_queue_policy { max_queue_size: 65537 } }',
      { maxQueued: 65536 },
      'field dynamic_batching.default_queue_policy.max_queue_size: 65537 is more than 65536, which is taken instead',
    ],
    [
      'parameters { key: "intra_op_thread_count" value { string_value: "513" } }',
      { session: { intraOpThreads: 512 } },
      'field parameter intra_op_thread_count: 513 is more than 512, which is taken instead',
    ],
    [
      'optimization { execution_accelerators { gpu_execution_accelerator { name: "migraphx" } } }',
      undefined,
      'accelerator "migraphx" is not among our execution providers',
    ],
    [
      'max_batch_size: 8 dynamic_batching { preferred_batch_size: [ 4, 8 ] }',
      { maxBatch: 8 },
      'field dynamic_batching.preferred_batch_size is left out: nodes find the best size',
    ],
    [
      'optimization { graph { level: 7 } }',
      undefined,
      'field optimization.graph.level 7 is left out: expected -1, 1 or 2',
    ],
    [
      'model_warmup { name: "w" }',
      undefined,
      'field model_warmup has no counterpart here and is left out',
    ],
    [
      'max_batch_sise: 8',
      undefined,
      'field max_batch_sise has no counterpart here and is left out',
    ],
    [
      'instance_group { gpus: [ 0, 1 ] }',
      undefined,
      'field instance_group[0].gpus has no counterpart here and is left out',
    ],
    [
      'optimization { execution_accelerators { cpu_execution_accelerator { name: "openvino" } } }',
      undefined,
      'field optimization.execution_accelerators.cpu_execution_accelerator has no counterpart here and is left out',
    ],
    [
      'parameters { key: "execution_mode" value { string_value: "1" } }',
      undefined,
      'parameter "execution_mode" has no counterpart here and is left out',
    ],
    [
      'sequence_batching { }',
      undefined,
      'field sequence_batching has no counterpart here and is left out',
    ],
  ])('notes what %s cannot become', (text, deployment, note) => {
    expect(deploymentOf(text)).toEqual(deployment);
    expect(map(text).notes).toEqual([note]);
  });

  it.each([
    ['backend: "tensorrt"', '1:10: field backend: expected "onnxruntime", found "tensorrt"'],
    ['platform: "ensemble"', '1:11: field platform: expected "onnxruntime_onnx", found "ensemble"'],
    [
      'max_batch_size: -1',
      "1:17: field max_batch_size: expected an integer from 0 to 2147483647, found '-1'",
    ],
    [
      'max_batch_size: 4 dynamic_batching { preferred_batch_size: [ 4, 5 ] }',
      '1:62: field dynamic_batching.preferred_batch_size: expected from 1 to max_batch_size, which is 4, found 5',
    ],
    [
      'instance_group { kind: KIND_TPU }',
      "1:24: field instance_group[0].kind: expected one of KIND_AUTO, KIND_GPU, KIND_CPU, KIND_MODEL, found 'KIND_TPU'",
    ],
    [
      'input { name: "z" }',
      "1:15: field input[0].name: expected an input of the model ('x'), found 'z'",
    ],
    [
      'output { name: "x" }',
      "1:16: field output[0].name: expected an output of the model ('y'), found 'x'",
    ],
    ['input { name: "x" } input { name: "x" }', "1:35: field input[1].name: 'x' is given twice"],
    [
      'input { name: "x" data_type: TYPE_INT32 }',
      '1:30: field input[0].data_type: expected TYPE_FP32, which the model has, found TYPE_INT32',
    ],
    [
      'input { name: "x" dims: [ 16 ] }',
      '1:27: field input[0].dims: expected [batch, 16], which the model has, found [16]',
    ],
    [
      'max_batch_size: 8 input { name: "x" dims: [ -1, 16 ] }',
      '1:45: field input[0].dims: expected [16], which the model has without the batch dimension, found [-1, 16]',
    ],
    [
      'max_batch_size: 8 input { name: "x" dims: [ -1 ] }',
      '1:45: field input[0].dims: expected [16], which the model has without the batch dimension, found [-1]',
    ],
    [
      'max_batch_size: 8 output { name: "y" dims: [ 11 ] }',
      '1:46: field output[0].dims: expected [10], which the model has without the batch dimension, found [11]',
    ],
  ])('refuses %s', (text, fault) => {
    expect(() => map(text)).toThrow(`config.pbtxt:${fault}`);
  });

  it('refuses a batch size when the model fixes its first dimension', async () => {
    const graph = await graphOf({ inputs: [tensor('x', [1, 4])], outputs: [tensor('y', [1, 4])] });
    expect(() => map('max_batch_size: 2 input { name: "x" dims: [ 4 ] }', graph)).toThrow(
      'field input[0].dims: max_batch_size 2 needs a free first dimension, the model has [1, 4]',
    );
    expect(map('max_batch_size: 0 input { name: "x" dims: [ 1, 4 ] }', graph).notes).toEqual([]);
  });

  it('lets a configuration narrow a free dimension, not widen a fixed one', async () => {
    const graph = await graphOf({
      inputs: [tensor('x', ['batch', 'length', 8])],
      outputs: [tensor('y', ['batch', 8])],
    });
    const dims = (text: string): string => `max_batch_size: 2 input { name: "x" dims: ${text} }`;
    expect(map(dims('[ 128, 8 ]'), graph).notes).toEqual([]);
    expect(map(dims('[ -1, 8 ]'), graph).notes).toEqual([]);
    expect(() => map(dims('[ 128, -1 ]'), graph)).toThrow('expected [length, 8]');
  });

  it('refuses a configuration that lacks one of the inputs', async () => {
    const graph = await graphOf({
      inputs: [tensor('a', [1]), tensor('b', [1])],
      outputs: [tensor('y', [1])],
    });
    expect(() => map('input { name: "a" }', graph)).toThrow(
      "config.pbtxt:1:7: field input: lacks 'b', which the model takes",
    );
  });

  it('notes outputs that the configuration hides, and tensors that it reshapes', async () => {
    const graph = await graphOf({
      inputs: [tensor('x', [])],
      outputs: [tensor('y', [1]), tensor('hidden', [1])],
    });
    const { notes } = map(
      'input { name: "x" dims: [ 1 ] reshape { shape: [ ] } } output { name: "y" }',
      graph,
    );
    expect(notes).toEqual([
      "input 'x': callers send [], the model's own shape, for nothing reshapes it here",
      "output 'hidden' is not in the configuration; requests can ask for it here",
    ]);
  });

  it('leaves outputs of unknown rank as they are', async () => {
    const graph = await graphOf({ inputs: [tensor('x', [1])], outputs: [tensor('y')] });
    expect(map('output { name: "y" dims: [ 3, 4 ] }', graph).notes).toEqual([]);
  });
});
