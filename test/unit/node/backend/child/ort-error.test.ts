import { describe, expect, test } from 'vitest';
import {
  classifyLoadError,
  classifyRunError,
  cleanRuntimeMessage,
} from '../../../../../node/backend/child/ort-error.ts';

const PATH = '/home/owner/.swarm/store/versions/bafy/model.onnx';

describe('classifyRunError', () => {
  // As onnxruntime-node 1.30 words them.
  test.each([
    'Got invalid dimensions for input: x for the following indices\n index: 1 Got: 3 Expected: 4',
    'Invalid rank for input: x Got: 1 Expected: 2 Please fix either the inputs/outputs or the model.',
    'Unexpected input data type. Actual: (tensor(int32)) , expected: (tensor(float))',
    "input 'x' is missing in 'feeds'.",
    "'fetches' contains invalid output name: nope.",
    'not enough space: expected 16000, got 16',
    "Tensor's size(4) does not match data length(3).",
  ])('%s is a fault of the input', (message) => {
    expect(classifyRunError(new Error(message), PATH).code).toBe('ERR_INVALID_INPUT');
  });

  test.each(['Integer division by zero', 'Failed to allocate memory for requested buffer'])(
    '%s is a fault of the model',
    (message) => {
      expect(classifyRunError(new Error(message), PATH)).toMatchObject({
        code: 'ERR_EXECUTION',
        message: `model failed: ${message}`,
      });
    },
  );
});

describe('classifyLoadError', () => {
  test('names the file and not where it lies', () => {
    const error = new Error(`Load model from ${PATH} failed:Protobuf parsing failed.`);
    expect(classifyLoadError(error, 'model.onnx', PATH)).toMatchObject({
      code: 'ERR_INVALID_MODEL',
      message: 'model.onnx cannot be loaded: Protobuf parsing failed.',
    });
  });
});

describe('cleanRuntimeMessage', () => {
  test.each<[raw: string, clean: string]>([
    ['\u001b[1;31m2026 [E:onnxruntime] no\u001b[m', '2026 [E:onnxruntime] no'],
    [
      '/onnxruntime_src/onnxruntime/core/graph/model.cc:187 onnxruntime::Model::Model(onnx::ModelProto&&, const int&) ModelProto does not have a graph.',
      'ModelProto does not have a graph.',
    ],
    [
      `External data path "${PATH.replace('model.onnx', 'w.bin')}" is short`,
      'External data path "w.bin" is short',
    ],
    ['cannot open /usr/lib/x86_64-linux-gnu/libfoo.so', 'cannot open libfoo.so'],
    ['two\n\n  lines', 'two lines'],
  ])('%j becomes %j', (raw, clean) => {
    expect(cleanRuntimeMessage(new Error(raw), PATH)).toBe(clean);
  });

  test('keeps 400 characters, and says that there were more', () => {
    expect(cleanRuntimeMessage('x'.repeat(400), PATH)).toBe('x'.repeat(400));
    expect(cleanRuntimeMessage('x'.repeat(401), PATH)).toBe(`${'x'.repeat(400)}…`);
  });
});
