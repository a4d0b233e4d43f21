/** What Triton's suites of tensors assert, each a fact of its own; docs/triton-conformance.md has them in a table. */

import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Datatype } from '../../protocols/datatype.ts';
import { Tensor } from '../../src/index.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';
import { TritonCaller } from '../support/triton-caller.ts';
import { identityModel } from '../support/triton-models.ts';

let testnet: Testnet;
let gateway: TestGateway;
let caller: TritonCaller;

beforeAll(async () => {
  testnet = await createTestnet({ nodes: 1, clients: 0 });
  for (const datatype of ['FP32', 'FP16', 'BOOL', 'BYTES'] as const) {
    await testnet.publish(identityModel(datatype), { name: datatype.toLowerCase() });
  }
  gateway = await startTestGateway(testnet);
  caller = new TritonCaller(gateway);
});
afterAll(async () => {
  caller?.[Symbol.dispose]();
  await gateway?.[Symbol.asyncDispose]();
  await testnet?.[Symbol.asyncDispose]();
});

/** Expects a tensor to come back as it is, over both protocols. */
async function expectBack(datatype: Datatype, shape: readonly number[], bytes: Uint8Array) {
  const sent = { datatype, shape, bytes: Buffer.from(bytes) };
  const model = datatype.toLowerCase();
  for (const seen of [
    await caller.identityOverHttp(model, sent),
    await caller.identityOverGrpc(model, sent),
  ]) {
    expect(seen.shape).toEqual(shape);
    expect(seen.bytes.equals(sent.bytes)).toBe(true);
  }
}

const json = (datatype: Datatype, shape: readonly number[], data: readonly unknown[]) => ({
  inputs: [{ name: 'x', datatype, shape, data }],
});

describe('NaN and infinities', () => {
  const SPECIAL = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1, 2, 3];

  it('L0_nan_inf: NaN and infinities come back as bytes, over both protocols', async () => {
    await expectBack('FP32', [3, 2], Tensor.from('FP32', [3, 2], SPECIAL).bytes);
  });

  it('L0_nan_inf: NaN and infinities are answered in JSON that parses, as text', async () => {
    const data = ['NaN', 'Infinity', '-Infinity', 1, 2, 3];
    const reply = await caller.post('/v2/models/fp32/infer', json('FP32', [3, 2], data));
    expect(reply).toMatchObject({ status: 200, json: { outputs: [{ data }] } });
  });

  it('L0_nan_inf: the bare words NaN and Infinity in JSON are refused', async () => {
    for (const word of ['NaN', '-Infinity']) {
      const body = JSON.stringify(json('FP32', [1, 2], [0, 1])).replace('[0,1]', `[${word},1]`);
      expect(await caller.post('/v2/models/fp32/infer', body)).toMatchObject({
        ...{ status: 400, json: { error: expect.stringContaining('binary tensor data') } },
      });
    }
  });
});

describe('Strings', () => {
  it('L0_string_io: strings that are empty, long, of other lengths, not ASCII come back', async () => {
    for (const strings of [
      ['', ''],
      ['x'.repeat(70_000), 'y'],
      ['a', 'bcd'],
      ['日本', 'añb'],
    ]) {
      await expectBack('BYTES', [1, 2], Tensor.from('BYTES', [1, 2], strings).bytes);
    }
  });

  it('L0_string_io: strings go and come in JSON as in bytes', async () => {
    const data = ['10000', 'añb', '\u0001\n"', ''];
    const reply = await caller.post('/v2/models/bytes/infer', json('BYTES', [2, 2], data));
    expect(reply).toMatchObject({ status: 200, json: { outputs: [{ data }] } });
  });

  it('L0_string_io: bytes that are no UTF-8 are refused in JSON, and by every model', async () => {
    const inJson = Buffer.from(JSON.stringify(json('BYTES', [1, 2], ['?', 'b'])));
    inJson[inJson.indexOf('?')] = 0xff;
    expect(await caller.post('/v2/models/bytes/infer', new Uint8Array(inJson))).toMatchObject({
      ...{ status: 400, json: { error: expect.stringContaining('UTF-8') } },
    });
    const bytes = Buffer.from([1, 0, 0, 0, 0xff, 0, 0, 0, 0]);
    const sent = { datatype: 'BYTES', shape: [1, 2], bytes } as const;
    await expect(caller.identityOverHttp('bytes', sent)).rejects.toThrow('UTF-8');
  });

  it('L0_string_io: a NUL character is refused', async () => {
    const { bytes } = Tensor.from('BYTES', [1, 2], ['a\0', 'b']);
    const sent = { datatype: 'BYTES', shape: [1, 2], bytes: Buffer.from(bytes) } as const;
    await expect(caller.identityOverHttp('bytes', sent)).rejects.toThrow('NUL');
  });
});

it('L0_infer_zero: tensors without elements, and those of one, come back', async () => {
  for (const datatype of ['FP32', 'FP16', 'BYTES', 'BOOL'] as const) {
    await expectBack(datatype, [0, 2], new Uint8Array());
  }
  await expectBack('FP32', [1, 2], Tensor.from('FP32', [1, 2], [1, 2]).bytes);
  await expectBack('BOOL', [5, 2], Uint8Array.of(1, 0, 1, 1, 0, 0, 1, 0, 1, 1));
});

describe('Large payloads', () => {
  it('L0_large_payload: a tensor of 32 MiB comes back whole', async () => {
    const rows = 4 * 1024 * 1024;
    const floats = Float32Array.from({ length: rows * 2 }, (_, index) => index);
    await expectBack('FP32', [rows, 2], new Uint8Array(floats.buffer));
  });

  it('L0_large_payload: a tensor above the bound is refused, and the server goes on', async () => {
    const rows = 9 * 1024 * 1024;
    const large = { datatype: 'FP32', shape: [rows, 2], bytes: Buffer.alloc(rows * 8) } as const;
    await expect(caller.identityOverHttp('fp32', large)).rejects.toThrow('67108864 bytes');
    await expect(caller.identityOverGrpc('fp32', large)).rejects.toThrow('RESOURCE_EXHAUSTED');
    await expectBack('FP32', [1, 2], Tensor.from('FP32', [1, 2], [1, 2]).bytes);
  });
});

describe('Compression', () => {
  const data = Array.from({ length: 1_000 }, (_, index) => index);
  const text = JSON.stringify(json('FP32', [500, 2], data));
  const WAYS = [
    ['gzip', gzipSync, gunzipSync],
    ['deflate', deflateSync, inflateSync],
  ] as const;

  it('L0_data_compression: requests by gzip and deflate are run', async () => {
    for (const [encoding, compress] of WAYS) {
      const sent = new Uint8Array(compress(text));
      const headers = { 'content-encoding': encoding };
      expect(await caller.post('/v2/models/fp32/infer', sent, headers)).toMatchObject({
        ...{ status: 200, json: { outputs: [{ data }] } },
      });
    }
  });

  it('L0_data_compression: answers are compressed as the client accepts', async () => {
    for (const [encoding] of WAYS) {
      const headers = { 'accept-encoding': encoding };
      const reply = await caller.post('/v2/models/fp32/infer', text, headers);
      expect(reply.headers.get('content-encoding')).toBe(encoding);
      // Which fetch has undone already.
      expect(reply.json).toMatchObject({ outputs: [{ data }] });
    }
  });

  it('L0_data_compression: answers below 1 KiB are not compressed', async () => {
    const small = json('FP32', [1, 2], [1, 2]);
    const headers = { 'accept-encoding': 'gzip' };
    const reply = await caller.post('/v2/models/fp32/infer', small, headers);
    expect([reply.status, reply.headers.get('content-encoding')]).toEqual([200, null]);
  });

  it('L0_data_compression: a body that cannot be decompressed is refused', async () => {
    const headers = { 'content-encoding': 'gzip' };
    expect(await caller.post('/v2/models/fp32/infer', text, headers)).toMatchObject({
      ...{ status: 400, json: { error: expect.any(String) } },
    });
  });

  it('L0_data_compression: another encoding is 501, with those that are taken', async () => {
    const reply = await caller.post('/v2/models/fp32/infer', text, { 'content-encoding': 'br' });
    expect([reply.status, reply.headers.get('accept-encoding')]).toEqual([501, 'gzip, deflate']);
  });

  it('L0_data_compression: the length of the JSON is that once decompressed', async () => {
    const bytes = Buffer.from(Float32Array.from(data).buffer);
    const head = Buffer.from(
      JSON.stringify({
        inputs: [
          {
            ...{ name: 'x', datatype: 'FP32', shape: [500, 2] },
            parameters: { binary_data_size: bytes.byteLength },
          },
        ],
      }),
    );
    const sent = new Uint8Array(gzipSync(Buffer.concat([head, bytes])));
    const reply = await caller.post('/v2/models/fp32/infer', sent, {
      'content-encoding': 'gzip',
      'inference-header-content-length': String(head.byteLength),
    });
    expect(reply).toMatchObject({ status: 200, json: { outputs: [{ data }] } });
  });
});

describe('Parameters', () => {
  const request = (parameters: object) => ({ ...json('FP32', [1, 2], [1, 2]), parameters });
  const message = (parameters: object) => ({
    model_name: 'fp32',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }],
    raw_input_contents: [Buffer.alloc(8)],
    parameters,
  });

  it('L0_parameters: texts, integers, numbers and truths are taken, over both protocols', async () => {
    for (const [plain, typed] of [
      [{ key1: 'value1', key2: 'value2' }, { key1: { string_param: 'value1' } }],
      [{ key1: 1, key2: 2 }, { key1: { int64_param: 1 } }],
      [{ key1: 123.123, key2: 321.321 }, { key1: { double_param: 123.123 } }],
      [{ key1: true, key2: 'value2' }, { key1: { bool_param: true } }],
    ] as const) {
      const reply = await caller.post('/v2/models/fp32/infer', request(plain));
      expect(reply.status).toBe(200);
      const answer = await caller.grpc.call('ModelInfer', message(typed));
      // They reach no model: an ONNX model has no use for them.
      expect([reply.json['parameters'], answer['parameters']]).toEqual([
        expect.not.objectContaining({ key1: expect.anything() }),
        expect.not.objectContaining({ key1: expect.anything() }),
      ]);
    }
  });

  it('L0_parameters: names that begin with triton_ are refused, over both protocols', async () => {
    const error = expect.stringContaining('reserved for Triton usage');
    const reply = await caller.post('/v2/models/fp32/infer', request({ triton_: true }));
    expect([reply.status, reply.json]).toEqual([400, { error }]);
    await expect(
      caller.grpc.call('ModelInfer', message({ triton_: { bool_param: true } })),
    ).rejects.toMatchObject({ details: error });
  });
});
