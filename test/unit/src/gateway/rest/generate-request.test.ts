import { describe, expect, it } from 'vitest';
import { Tensor } from '../../../../../protocols/tensor.ts';
import type { TensorSpec } from '../../../../../protocols/types.ts';
import {
  formatGenerateAnswer,
  formatUsage,
  parseGenerateBody,
  parseGenerateRequest,
  refuseStreamOptions,
  wantsUsage,
} from '../../../../../src/gateway/rest/generate-request.ts';

const spec = (name: string, datatype: TensorSpec['datatype'], shape: TensorSpec['shape']) => ({
  ...{ name, datatype, shape },
});

const EXPECTED = {
  model: 'm',
  inputs: [spec('text_input', 'BYTES', ['batch', 1]), spec('ids', 'INT64', ['batch', 'n'])],
  outputs: [],
};

const read = (body: string) => parseGenerateBody(Buffer.from(body));
const parse = (body: string) => parseGenerateRequest(read(body), EXPECTED);

describe('parseGenerateRequest', () => {
  it('makes of values rows of the inputs, exact, and of other keys parameters', () => {
    const request = parse(
      '{"id":"a","text_input":"hé","ids":[9223372036854775807,-1],"priority":2,"parameters":{"timeout":5000}}',
    );
    const { text_input: textInput, ids } = request.inputs;
    expect([textInput?.shape, textInput?.strings()]).toEqual([[1, 1], ['hé']]);
    expect([ids?.shape, ids?.toArray()]).toEqual([
      [1, 2],
      [9223372036854775807n, -1n],
    ]);
    expect(request).toMatchObject({ id: 'a', schedule: { priority: 2, timeoutMs: 5 } });
  });

  it('takes whole batches', () => {
    const { inputs } = parse('{"text_input":[["a"],["b"]],"ids":[[1,2],[3,4]]}');
    expect([inputs['text_input']?.shape, inputs['ids']?.shape]).toEqual([
      [2, 1],
      [2, 2],
    ]);
  });

  it.each([
    ['{"text_input":"a"}', /^expected 2 inputs but got 1 inputs for model 'm'/],
    ['{"text_input":["a","b"],"ids":1}', /^unexpected shape for input 'text_input'/],
    ['{"text_input":[[["a"]]],"ids":1}', /^input 'text_input' has shape \[1, 1, 1\], expected/],
    ['{"text_input":1,"ids":1}', /^request.text_input: element 0 is 1, expected a string/],
    ['{"text_input":"a","ids":[[1],[2,3]]}', /request.ids/],
    ['{"text_input":"a","ids":{}}', /^request.ids: element 0/],
    ['{"text_input":"a","ids":1,"sequence_id":7}', /^parameter 'sequence_id' is not supported/],
    ['{"text_input":"a","ids":1,"parameters":[]}', /^parameters: expected an object/],
    ['[]', /^request: expected an object/],
    ['{', /^not JSON/],
  ])('refuses %s', (body, message) => {
    expect(() => parse(body)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_INPUT' }));
    expect(() => parse(body)).toThrow(message);
  });
});

describe('wantsUsage', () => {
  it('is what stream_options say, and no where there are none', () => {
    expect(wantsUsage(read('{}'))).toBe(false);
    expect(wantsUsage(read('{"stream_options":{}}'))).toBe(false);
    expect(wantsUsage(read('{"stream_options":{"include_usage":true}}'))).toBe(true);
  });

  it('refuses what is neither true nor false', () => {
    expect(() => wantsUsage(read('{"stream_options":{"include_usage":1}}'))).toThrow(
      /^stream_options.include_usage: expected true or false/,
    );
  });
});

describe('refuseStreamOptions', () => {
  it('refuses options of a stream, and nothing else', () => {
    expect(() => refuseStreamOptions(read('{"stream_options":{}}'))).toThrow(
      /^stream_options is only for generate_stream/,
    );
    expect(refuseStreamOptions(read('{"ids":1}'))).toBeUndefined();
  });
});

describe('formatUsage', () => {
  it('says what an answer took, in bytes and milliseconds', () => {
    const usage = { inputBytes: 8, outputBytes: 16, queueMs: 1.5, executeMs: 2 };
    const model = { asked: 'm', version: '3' };
    expect(formatUsage({ model, id: undefined, parameters: {}, usage, outputs: [] })).toBe(
      '{"usage":{"input_bytes":8,"output_bytes":16,"queue_ms":1.5,"execute_ms":2}}',
    );
  });
});

describe('formatGenerateAnswer', () => {
  const answer = (outputs: Record<string, Tensor>, id?: string) =>
    formatGenerateAnswer({
      model: { asked: 'm', version: '3' },
      id,
      parameters: {},
      usage: { inputBytes: 0, outputBytes: 0, queueMs: 0, executeMs: 0 },
      outputs: Object.entries(outputs).map(([name, tensor]) => ({ name, tensor, binary: false })),
    });

  it('unwraps single elements, and writes others flat and exact', () => {
    const outputs = {
      text_output: Tensor.from('BYTES', [1, 1], ['a"b']),
      ids: Tensor.from('INT64', [2, 1], [2n ** 63n - 1n, 0n]),
      none: Tensor.from('FP32', [0], []),
    };
    expect(answer(outputs, 'mine')).toBe(
      String.raw`{"id":"mine","model_name":"m","model_version":"3","text_output":"a\"b","ids":[9223372036854775807,0],"none":[]}`,
    );
    expect(answer({})).toBe('{"model_name":"m","model_version":"3"}');
  });

  it('refuses what JSON does not carry', () => {
    expect(() => answer({ y: Tensor.from('FP16', [1], [1]) })).toThrow(/is FP16, which JSON/);
  });
});
