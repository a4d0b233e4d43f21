import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DATATYPES, type Datatype } from '../../../../protocols/datatype.ts';
import { MAX_NAME_BYTES, MAX_TENSORS } from '../../../../protocols/limits.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import {
  formatInferenceResponse,
  parseInferenceRequest,
} from '../../../../src/client/open-inference.ts';
import { refusal as refusalOf } from '../../../support/refusal.ts';

/** A request with one input whose `data` stands as it is given, digits and all. */
function requestText(datatype: string, shape: readonly number[], data: string): string {
  return `{"inputs":[{"name":"x","shape":${JSON.stringify(shape)},"datatype":"${datatype}","data":${data}}]}`;
}

function parseOne(datatype: string, shape: readonly number[], data: string): Tensor | undefined {
  return parseInferenceRequest(requestText(datatype, shape, data), []).inputs['x'];
}

function refusal(message: string | RegExp): unknown {
  return refusalOf('ERR_INVALID_INPUT', message);
}

describe('parseInferenceRequest', () => {
  it('reads id, inputs in their order and the outputs wanted', () => {
    const text = JSON.stringify({
      id: '42',
      parameters: { priority: 1 },
      inputs: [
        { name: 'b', shape: [2], datatype: 'FP32', data: [1, 2] },
        { name: 'a', shape: [1], datatype: 'BYTES', data: ['ä'], parameters: { note: 'mine' } },
      ],
      outputs: [{ name: 'label' }],
    });
    const { id, inputs, outputs } = parseInferenceRequest(text, []);
    expect(id).toBe('42');
    expect(Object.keys(inputs)).toEqual(['b', 'a']);
    expect(inputs['a']?.strings()).toEqual(['ä']);
    expect(outputs).toEqual(['label']);
  });

  it('reads nested data as it reads flat data', () => {
    const nested = parseOne('INT32', [2, 1, 3], '[[[1,2,3]],[[4,5,6]]]');
    expect(nested).toEqual(parseOne('INT32', [2, 1, 3], '[1,2,3,4,5,6]'));
    expect(nested?.toArray()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it.each<[Datatype, string, readonly unknown[]]>([
    ['BOOL', '[true, false, 1, 0]', [true, false, true, false]],
    ['UINT8', '[0, 255]', [0, 255]],
    ['UINT16', '[0, 65535]', [0, 65_535]],
    ['UINT32', '[0, 4294967295]', [0, 4_294_967_295]],
    [
      'UINT64',
      '[18446744073709551615, "18446744073709551614", 7]',
      [2n ** 64n - 1n, 2n ** 64n - 2n, 7n],
    ],
    ['INT8', '[-128, 127]', [-128, 127]],
    ['INT16', '[-32768, 32767]', [-32_768, 32_767]],
    ['INT32', '[-2147483648, 2147483647]', [-(2 ** 31), 2 ** 31 - 1]],
    [
      'INT64',
      '[-9223372036854775808, 9007199254740993, "-9007199254740993"]',
      [-(2n ** 63n), 2n ** 53n + 1n, -(2n ** 53n) - 1n],
    ],
    ['FP16', '[0.5, -0, 65519, "-Infinity"]', [0.5, -0, 65_504, Number.NEGATIVE_INFINITY]],
    [
      'FP32',
      '[0.1, "NaN", "Infinity", 3.4028235e38]',
      [Math.fround(0.1), Number.NaN, Number.POSITIVE_INFINITY, 3.4028234663852886e38],
    ],
    ['FP64', '[0.1, 1e308, 12345678901234567890]', [0.1, 1e308, 12_345_678_901_234_567_000]],
    ['BYTES', '["", "Grüße 🌍"]', ['', 'Grüße 🌍']],
  ])('reads %s exactly', (datatype, data, expected) => {
    const tensor = parseOne(datatype, [expected.length], data);
    expect(tensor?.toArray()).toEqual(expected);
  });

  it('reads empty tensors and scalars', () => {
    expect(parseOne('FP32', [0], '[]')?.size).toBe(0);
    expect(parseOne('FP32', [2, 0], '[[],[]]')?.shape).toEqual([2, 0]);
    expect(parseOne('FP32', [2, 0], '[]')?.shape).toEqual([2, 0]);
    expect(parseOne('INT64', [], '[9007199254740993]')?.toArray()).toEqual([2n ** 53n + 1n]);
    expect(parseOne('INT64', [], '9007199254740993')?.toArray()).toEqual([2n ** 53n + 1n]);
  });

  it('keeps an input named __proto__ an ordinary input', () => {
    const text =
      '{"inputs":[{"name":"__proto__","shape":[1],"datatype":"UINT8","data":[1]}],"__proto__":{"outputs":[{"name":"y"}]}}';
    const { inputs, outputs } = parseInferenceRequest(text, []);
    expect(Object.keys(inputs)).toEqual(['__proto__']);
    expect(inputs['__proto__']?.toArray()).toEqual([1]);
    expect(inputs['toString']).toBeUndefined();
    expect(outputs).toEqual([]);
  });

  it.each<[Datatype, readonly number[], string, string | RegExp]>([
    ['FP32', [2, 2], '[1,2,3]', 'inputs[0].data: expected 4 elements for shape [2, 2], found 3'],
    [
      'FP32',
      [2, 2],
      '[[1,2],[3]]',
      'inputs[0].data[1]: expected an array of 2 for dimension 1 of shape [2, 2], found 1',
    ],
    [
      'FP32',
      [2, 2],
      '[[1,2],3]',
      'inputs[0].data[1]: expected an array of 2 for dimension 1 of shape [2, 2], found 3',
    ],
    ['FP32', [2, 2], '[[1,2],[3,4],[5,6]]', /expected an array of 2 for dimension 0 .* found 3$/],
    [
      'FP32',
      [2],
      '[[1],[2]]',
      'inputs[0].data: element 0 is an array of 1, expected a number of magnitude below 3.5e38, "NaN", "Infinity" or "-Infinity"',
    ],
    ['FP32', [1], '{"0":1}', 'inputs[0].data: expected an array, found an object'],
    ['FP32', [1], '[null]', /element 0 is null, expected a number/],
    ['FP32', [1], '["1.5"]', /element 0 is "1.5", expected a number/],
    ['FP32', [1], '["toString"]', /element 0 is "toString", expected a number/],
    ['FP32', [1], '[3.4028236e38]', /element 0 is 3.4028236e\+38, expected a number of magnitude/],
    ['FP64', [1], '[1e309]', /element 0 is Infinity, expected a number of magnitude below 1.8e308/],
    ['FP16', [1], '[65520]', /element 0 is 65520, expected a number of magnitude below 65520/],
    ['BOOL', [1], '[2]', 'inputs[0].data: element 0 is 2, expected true or false'],
    ['UINT8', [2], '[1, 256]', /inputs\[0\]\.data: element 1 is 256/],
    ['INT32', [1], '[1.5]', 'inputs[0].data: element 0 is 1.5, expected an integer'],
    ['INT32', [1], '["1"]', /element 0 is "1", expected an integer/],
    ['INT64', [1], '[9223372036854775808]', /element 0 is 9223372036854775808n/],
    [
      'INT64',
      [1],
      '[1e18]',
      /element 0 is 1000000000000000000, expected an integer in plain digits/,
    ],
    ['UINT64', [1], '["-1"]', /element 0 is -1n/],
    ['UINT64', [1], '["0x10"]', /element 0 is "0x10", expected an integer in plain digits/],
    ['BYTES', [1], '[7]', /element 0 is 7, expected a string/],
    ['BYTES', [1], '["\\ud800"]', /expected a string of whole Unicode characters/],
    // A value that brings its own conversion to text.
    ['INT8', [1], '[{"toString": 1, "valueOf": 1}]', /element 0 is an object/],
  ])('refuses %s %j data %s', (datatype, shape, data, message) => {
    expect(() => parseOne(datatype, shape, data)).toThrow(refusal(message));
  });

  it.each<[unknown, string | RegExp]>([
    [[], 'request: expected an object, found an array of 0'],
    [{}, 'inputs: expected an array, found nothing'],
    [{ inputs: [7] }, 'inputs[0]: expected an object, found 7'],
    [{ inputs: [], id: 7 }, 'id: expected a string, found 7'],
    [{ inputs: [], outputs: [{}] }, 'outputs[0].name: expected a name, found nothing'],
    [
      { inputs: [], outputs: [{ name: 'y' }, { name: 'y' }] },
      'outputs[1].name: "y" is given twice',
    ],
    [{ inputs: [{ name: '', datatype: 'FP32' }] }, 'inputs[0].name: expected a name, found ""'],
    [
      { inputs: [{ name: 'x' }] },
      /^inputs\[0\]\.datatype: expected one of BOOL, .* found nothing$/,
    ],
    [{ inputs: [{ name: 'x', datatype: 'BF16' }] }, /datatype: expected one of .* found "BF16"$/],
    [
      { inputs: [{ name: 'x', datatype: 'FP32' }] },
      'inputs[0].shape: expected an array, found nothing',
    ],
    [
      { inputs: [{ name: 'x', datatype: 'FP32', shape: ['2'] }] },
      'inputs[0].shape[0]: expected an integer >= 0, found "2"',
    ],
    [
      { inputs: [{ name: 'x', datatype: 'FP32', shape: [-1] }] },
      /^inputs\[0\]\.shape: .* dimension -1/,
    ],
    [
      { inputs: [{ name: 'x', datatype: 'FP32', shape: [1] }] },
      'inputs[0].data: expected an array, found nothing',
    ],
    [
      { inputs: [], parameters: { binary_data_output: true } },
      /^parameters\.binary_data_output: expected none, found true/,
    ],
    [
      { inputs: [{ parameters: { binary_data_size: 4 } }] },
      /^inputs\[0\]\.parameters\.binary_data_size: expected none, found 4: tensor data is read from "data" only/,
    ],
    [
      { inputs: [], outputs: [{ name: 'y', parameters: { binary_data: true } }] },
      /^outputs\[0\]\.parameters\.binary_data/,
    ],
  ])('refuses %j', (request, message) => {
    expect(() => parseInferenceRequest(JSON.stringify(request), [])).toThrow(refusal(message));
  });

  it('takes a binary parameter that is off', () => {
    const text = '{"inputs":[],"parameters":{"binary_data_output":false}}';
    expect(parseInferenceRequest(text, []).outputs).toEqual([]);
  });

  it('takes as many inputs and as long a name as the limits say, and not one more', () => {
    const input = (name: string): object => ({ name, shape: [0], datatype: 'UINT8', data: [] });
    const many = (count: number): string =>
      JSON.stringify({ inputs: Array.from({ length: count }, (_, i) => input(`x${i}`)) });
    const named = (bytes: number): string => JSON.stringify({ inputs: [input('x'.repeat(bytes))] });
    expect(Object.keys(parseInferenceRequest(many(MAX_TENSORS), []).inputs)).toHaveLength(
      MAX_TENSORS,
    );
    expect(() => parseInferenceRequest(many(MAX_TENSORS + 1), [])).toThrow(
      refusal('inputs: expected at most 1024 items, found 1025'),
    );
    expect(Object.keys(parseInferenceRequest(named(MAX_NAME_BYTES), []).inputs)).toHaveLength(1);
    expect(() => parseInferenceRequest(named(MAX_NAME_BYTES + 1), [])).toThrow(
      refusal('inputs[0].name has 65537 bytes, expected at most 65536'),
    );
  });

  it('checks name, datatype and shape against what the model declares, before any data', () => {
    const specs = [{ name: 'x', datatype: 'FP32', shape: ['batch', 2] }] as const;
    const parse = (text: string) => parseInferenceRequest(text, specs);
    expect(parse(requestText('FP32', [3, 2], '[1,2,3,4,5,6]')).inputs['x']?.shape).toEqual([3, 2]);
    expect(() => parse(requestText('FP64', [1, 2], 'null'))).toThrow(
      refusal("input 'x' has datatype FP64, expected FP32"),
    );
    expect(() => parse(requestText('FP32', [1, 3], 'null'))).toThrow(
      refusal("input 'x' has shape [1, 3], expected [batch, 2]"),
    );
    expect(() => parse('{"inputs":[]}')).toThrow(refusal(/input 'x' is missing/));
  });
});

describe('formatInferenceResponse', () => {
  const base = {
    modelName: 'digits',
    modelVersion: 'bafy…',
    parameters: { node: 'n', retries: 0 },
  };

  it('writes the fields of the protocol in its order, id only when there is one', () => {
    const outputs = { y: Tensor.from('FP32', [1, 2], [0.1, -0]) };
    expect(formatInferenceResponse({ ...base, id: '7', outputs })).toBe(
      '{"model_name":"digits","model_version":"bafy…","id":"7","parameters":{"node":"n","retries":0},' +
        '"outputs":[{"name":"y","datatype":"FP32","shape":[1,2],"data":[0.1,-0]}]}',
    );
    expect(JSON.parse(formatInferenceResponse({ ...base, id: undefined, outputs: {} }))).toEqual({
      model_name: 'digits',
      model_version: 'bafy…',
      parameters: { node: 'n', retries: 0 },
      outputs: [],
    });
  });

  it('writes 64-bit integers digit by digit, as numbers', () => {
    const outputs = {
      i: Tensor.from('INT64', [2], [-(2n ** 63n), 2n ** 53n + 1n]),
      u: Tensor.from('UINT64', [1], [2n ** 64n - 1n]),
    };
    const text = formatInferenceResponse({ ...base, outputs });
    expect(text).toContain('"data":[-9223372036854775808,9007199254740993]');
    expect(text).toContain('"data":[18446744073709551615]');
  });

  it('writes what is not finite as a string, which a request may hold as well', () => {
    const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1];
    for (const datatype of ['FP16', 'FP32', 'FP64'] as const) {
      const text = formatInferenceResponse({
        ...base,
        outputs: { y: Tensor.from(datatype, [4], values) },
      });
      expect(text).toContain('"data":["NaN","Infinity","-Infinity",1]');
    }
  });

  it('refuses BYTES that are not UTF-8', () => {
    const outputs = { y: new Tensor('BYTES', [1], Uint8Array.of(1, 0, 0, 0, 0xff)) };
    expect(() => formatInferenceResponse({ ...base, outputs })).toThrow(
      refusal(/^tensor "y" cannot be written as JSON, which carries UTF-8 only: element 0/),
    );
  });

  it('writes tensors that a request reads back bit for bit, for every datatype', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...DATATYPES),
        fc.bigUint64Array({ minLength: 3, maxLength: 3 }),
        fc.string({ unit: fc.constantFrom('a', 'ß', '🌍', '\ufeff', '\0', '"', '\\', '\u2028') }),
        (datatype, bits, word) => {
          const tensor = tensorOf(datatype, [...bits], word);
          const text = formatInferenceResponse({ ...base, outputs: { x: tensor } });
          const request = text.replace('"outputs":', '"inputs":');
          expect(parseInferenceRequest(request, []).inputs['x']).toEqual(tensor);
        },
      ),
    );
  });
});

/** Three elements of any bits, NaNs in the form that all NaNs take. */
function tensorOf(datatype: Datatype, bits: readonly bigint[], word: string): Tensor {
  if (datatype === 'BYTES') return Tensor.from('BYTES', [3], ['', word, '\ufeffx']);
  if (datatype === 'BOOL')
    return Tensor.from(
      'BOOL',
      [3],
      bits.map((value) => value % 2n === 1n),
    );
  const size = Tensor.from(
    datatype,
    [1],
    datatype.endsWith('64') && !datatype.startsWith('FP') ? [0n] : [0],
  ).bytes.byteLength;
  const bytes = new Uint8Array(3 * size);
  for (const [index, value] of bits.entries()) {
    const element = new Uint8Array(BigUint64Array.of(value).buffer).subarray(0, size);
    bytes.set(element, index * size);
  }
  const tensor = new Tensor(datatype, [3], bytes);
  if (!datatype.startsWith('FP')) return tensor;
  const floats = tensor.toArray() as number[];
  return Tensor.from(
    datatype,
    [3],
    floats.map((value) => (Number.isNaN(value) ? Number.NaN : value)),
  );
}
