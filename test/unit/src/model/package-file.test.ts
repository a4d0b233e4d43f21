import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ModelInterface } from '../../../../src/model/model-scan.ts';
import { checkTensorReferences, parsePackageFile } from '../../../../src/model/package-file.ts';

const parse = (text: string) => parsePackageFile(Buffer.from(text));

const IMAGE = {
  kind: 'image',
  input: 'x',
  width: 8,
  height: 8,
  channels: 'gray',
  layout: 'NCHW',
};

const MODEL: ModelInterface = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 1, 8, 8] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [1] }],
  omittedOutputs: [],
  controlFlow: [],
  loops: [],
};

describe('parsePackageFile', () => {
  it.each(['digits', 'travel'])('reads the package file of the bundled model %s', (name) => {
    const settings = parsePackageFile(readFileSync(`examples/models/${name}/model/swarm.json`));
    expect(settings.entry).toBe('model.onnx');
    expect(settings.deployment).toEqual({ minReplicas: 2 });
    expect(settings.answer?.kind).toEqual(expect.any(String));
  });

  it('takes an empty object: every field has a default', () => {
    expect(parse('{}')).toEqual({});
    expect(parse('\ufeff{}')).toEqual({});
  });

  it.each<[what: string, text: string, message: string | RegExp]>([
    ['no JSON', '{ "entry": model.onnx }', /^swarm\.json is not JSON: [^\n]+$/],
    ['JSON over several lines', '{\n"entry":\n}', /^swarm\.json is not JSON: [^\n]+$/],
    ['no object', '[]', 'swarm.json Invalid input: expected object'],
    ['an unknown key', '{"entri":"m.onnx"}', "swarm.json unknown key 'entri'"],
    [
      'an unknown key inside',
      '{"deployment":{"minReplica":1}}',
      "swarm.json field deployment: unknown key 'minReplica'",
    ],
    [
      'an unknown key of preprocessing',
      JSON.stringify({ preprocessing: { ...IMAGE, colour: 1 } }),
      "field preprocessing: unknown key 'colour'",
    ],
    [
      'an unknown kind of preprocessing',
      JSON.stringify({ preprocessing: { ...IMAGE, kind: 'audio' } }),
      'field preprocessing.kind: ',
    ],
    [
      'an answer of no kind',
      '{"answer":{"kind":"median","output":"y"}}',
      'swarm.json field answer.kind: ',
    ],
    [
      'an unknown key of the answer',
      '{"answer":{"kind":"argmax","output":"y","top":3}}',
      "field answer: unknown key 'top'",
    ],
    ['a path as entry', '{"entry":"../m.onnx"}', 'field entry: file name holds one of / \\'],
    ['no labels', '{"classLabels":[]}', 'field classLabels: '],
    ['a label that is no text', '{"classLabels":["a",1]}', 'field classLabels[1]: '],
    [
      'a replica and a half',
      '{"deployment":{"minReplicas":1.5}}',
      'field deployment.minReplicas: ',
    ],
    [
      'bounds that contradict each other',
      '{"deployment":{"minReplicas":3,"maxReplicas":2}}',
      'swarm.json field deployment.maxReplicas: expected at least minReplicas',
    ],
    ['a task without a name', '{"metadata":{"task":""}}', 'field metadata.task: '],
    [
      'a standard deviation of zero',
      JSON.stringify({ preprocessing: { ...IMAGE, std: [0] } }),
      'field preprocessing.std[0]: expected a number other than 0',
    ],
  ])('refuses %s', (_what, text, message) => {
    expect(() => parse(text)).toThrow(message);
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_MODEL',
        details: expect.objectContaining({ file: 'swarm.json' }) as unknown,
      }),
    );
  });

  it('refuses bytes that are not UTF-8', () => {
    expect(() => parsePackageFile(Uint8Array.of(0x7b, 0xff, 0x7d))).toThrow('is not JSON');
  });
});

describe('checkTensorReferences', () => {
  it('takes references to what the model has', () => {
    const settings = parse(
      JSON.stringify({
        preprocessing: IMAGE,
        answer: { kind: 'label', output: 'y', confidence: 'y' },
      }),
    );
    expect(() => checkTensorReferences(settings, MODEL)).not.toThrow();
  });

  it.each([
    [
      { preprocessing: { ...IMAGE, input: 'image' } },
      "swarm.json field preprocessing.input: 'image' is not an input of the model",
    ],
    [
      { answer: { kind: 'argmax', output: 'x' } },
      "swarm.json field answer: 'x' is not an output of the model",
    ],
    [
      { answer: { kind: 'ranking', output: 'y', scores: 'z' } },
      "swarm.json field answer: 'z' is not an output of the model",
    ],
  ])('refuses %j', (settings, message) => {
    expect(() => checkTensorReferences(parse(JSON.stringify(settings)), MODEL)).toThrow(message);
  });
});
