import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSwarmError } from '../../../../../protocols/errors.ts';
import type { TensorSpec } from '../../../../../protocols/types.ts';
import {
  MAX_JSON_DEPTH,
  parseJson,
  parseRestRequest,
} from '../../../../../src/gateway/rest/rest-request.ts';

const spec = (name: string, datatype: TensorSpec['datatype'], shape: TensorSpec['shape']) => ({
  ...{ name, datatype, shape },
});

function expected(...inputs: TensorSpec[]) {
  return { model: 'm', inputs, outputs: [spec('y', 'FP32', [null])] };
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const floats = (...values: number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);

describe('parseRestRequest', () => {
  it('mixes JSON and binary inputs, the bytes in the order of the inputs', () => {
    const head = json({
      inputs: [
        { name: 'b', datatype: 'FP32', shape: [1], parameters: { binary_data_size: 4 } },
        { name: 'j', datatype: 'INT32', shape: [1], data: [7] },
        { name: 'a', datatype: 'FP32', shape: [0], parameters: { binary_data_size: 0 } },
        { name: 'c', datatype: 'FP32', shape: [1], parameters: { binary_data_size: 4 } },
      ],
    });
    const { inputs } = parseRestRequest(
      Buffer.concat([head, floats(1.5, 2.5)]),
      String(head.byteLength),
      expected(
        spec('a', 'FP32', [null]),
        spec('b', 'FP32', [1]),
        spec('c', 'FP32', [1]),
        spec('j', 'INT32', [1]),
      ),
    );
    expect(Object.keys(inputs)).toEqual(['b', 'j', 'a', 'c']);
    expect(inputs['b']?.toArray()).toEqual([1.5]);
    expect(inputs['c']?.toArray()).toEqual([2.5]);
    expect(inputs['a']?.size).toBe(0);
  });

  it('lets an output say otherwise than the request how it is wanted', () => {
    const { outputs, binaryOutputs } = parseRestRequest(
      json({
        inputs: [],
        parameters: { binary_data_output: true },
        outputs: [{ name: 'y', parameters: { binary_data: false } }],
      }),
      undefined,
      expected(),
    );
    expect(binaryOutputs).toBe(true);
    expect(outputs).toEqual([{ name: 'y', binary: false, classes: 0 }]);
  });

  it.each([
    [spec('x', 'FP32', [4]), floats(1, 2, 3, 4), [4]],
    [spec('x', 'FP32', [null, 2]), floats(1, 2, 3, 4), [2, 2]],
    [spec('x', 'FP32', ['batch', null, 2]), floats(1, 2, 3, 4), [1, 2, 2]],
    [spec('x', 'FP32', []), floats(1), []],
    [spec('x', 'BYTES', [1]), Buffer.from('any text'), [1]],
    [spec('x', 'BYTES', ['n', 1]), Buffer.from('any text'), [1, 1]],
  ])('finds the shape of a raw body for %o', (input, body, shape) => {
    const { inputs, binaryOutputs } = parseRestRequest(body, '0', expected(input));
    expect(inputs['x']?.shape).toEqual(shape);
    expect(binaryOutputs).toBe(true);
  });

  it.each([
    [spec('x', 'FP32', ['n', null, null]), floats(1), /more than one variable-sized dimension/],
    [spec('x', 'FP32', [4]), floats(1), /^input byte size mismatch .* Expected 16, got 4$/],
    [spec('x', 'FP32', [null]), Buffer.alloc(5), /^input byte size mismatch .* Expected 4, got 5$/],
    [spec('x', 'BYTES', [2]), Buffer.from('a'), /must have input shape \[1\]/],
    [spec('x', 'BOOL', [2]), Buffer.from([1, 2]), /expected bytes 0 or 1, found 2/],
  ])('refuses a raw body that %o does not fit', (input, body, message) => {
    expect(() => parseRestRequest(body, '0', expected(input))).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_INPUT',
        message: expect.stringMatching(message),
      }),
    );
  });

  it('reads the time and the place in the queue', () => {
    const read = (parameters: object) =>
      parseRestRequest(json({ inputs: [], parameters }), undefined, expected()).schedule;
    expect(read({})).toEqual({ priority: 0, timeoutMs: undefined });
    expect(read({ priority: 1, timeout: 2500 })).toEqual({ priority: 1, timeoutMs: 2.5 });
    expect(() => read({ priority: -1 })).toThrow(/'priority' is -1, expected an integer from 0/);
    expect(() => read({ timeout: 'soon' })).toThrow(/'timeout' is "soon"/);
  });

  it('refuses with a typed error, whatever the bytes are', () => {
    const specs = expected(spec('x', 'FP32', [null, 2]));
    const header = fc.option(fc.oneof(fc.nat(80).map(String), fc.string()), { nil: undefined });
    const value = fc.jsonValue().map(json);
    const almost = fc
      .record(
        {
          inputs: fc.array(
            fc.record(
              {
                name: fc.constantFrom('x', 'y', ''),
                datatype: fc.constantFrom('FP32', 'BYTES', 'BF16'),
                shape: fc.array(fc.oneof(fc.integer({ min: -1, max: 3 }), fc.jsonValue())),
                data: fc.jsonValue(),
                parameters: fc.jsonValue(),
              },
              { requiredKeys: [] },
            ),
            { maxLength: 2 },
          ),
          outputs: fc.jsonValue(),
          parameters: fc.jsonValue(),
        },
        { requiredKeys: [] },
      )
      .map(json);
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
      value,
      almost,
    );
    fc.assert(
      fc.property(body, header, (bytes, length) => {
        try {
          parseRestRequest(bytes, length, specs);
        } catch (error) {
          expect(isSwarmError(error) && error.code).toBe('ERR_INVALID_INPUT');
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('parseJson', () => {
  it('goes as deep as the bound and no deeper, brackets in strings apart', () => {
    const nested = (depth: number) => Buffer.from('['.repeat(depth) + ']'.repeat(depth));
    expect(parseJson(nested(MAX_JSON_DEPTH))).toBeInstanceOf(Array);
    expect(() => parseJson(nested(MAX_JSON_DEPTH + 1))).toThrow(/nesting depth/);
    expect(parseJson(json(['\\"' + '['.repeat(500)]))).toHaveLength(1);
  });

  it('refuses bytes that are not UTF-8, in place of reading other text', () => {
    expect(parseJson(Buffer.from('["é"]'))).toEqual(['é']);
    expect(() => parseJson(Buffer.from('["é"]', 'latin1'))).toThrow(/expected UTF-8/);
  });
});
