/**
 * What Triton's own tests assert of a server, where no other test of the gateway does: facts of its qa/ folder, each under the name of
 * the suite. docs/migrate-from-triton.md has the whole table.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Datatype } from '../../protocols/datatype.ts';
import { Tensor } from '../../src/index.ts';
import { GrpcCaller, type GrpcMessage } from '../support/grpc-caller.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';
import { identityModel } from '../support/triton-models.ts';

let testnet: Testnet;
let gateway: TestGateway;
let caller: GrpcCaller;

beforeAll(async () => {
  testnet = await createTestnet({ nodes: 1, clients: 0 });
  for (const datatype of ['FP32', 'INT8', 'BYTES'] as const) {
    await testnet.publish(identityModel(datatype), { name: datatype.toLowerCase() });
  }
  gateway = await startTestGateway(testnet);
  caller = new GrpcCaller(gateway.grpc);
});
afterAll(async () => {
  caller?.[Symbol.dispose]();
  await gateway?.[Symbol.asyncDispose]();
  await testnet?.[Symbol.asyncDispose]();
});

interface Seen {
  readonly shape: readonly number[];
  readonly bytes: Buffer;
}

/** An identity model's answer over both protocols, as bytes. */
async function identity(datatype: Datatype, shape: readonly number[], bytes: Uint8Array) {
  const model = datatype.toLowerCase();
  const json = Buffer.from(
    JSON.stringify({
      inputs: [{ name: 'x', datatype, shape, parameters: { binary_data_size: bytes.byteLength } }],
      parameters: { binary_data_output: true },
    }),
  );
  const response = await fetch(`${gateway.http}/v2/models/${model}/infer`, {
    method: 'POST',
    headers: { 'inference-header-content-length': String(json.byteLength) },
    body: Buffer.concat([json, bytes]),
  });
  const body = Buffer.from(await response.arrayBuffer());
  const length = Number(response.headers.get('inference-header-content-length') ?? body.byteLength);
  const { outputs } = JSON.parse(body.subarray(0, length).toString()) as { outputs: [Seen] };
  const http: Seen = { shape: outputs[0].shape, bytes: body.subarray(length) };
  const answer = (await caller.call('ModelInfer', {
    model_name: model,
    inputs: [{ name: 'x', datatype, shape }],
    raw_input_contents: [bytes],
  })) as GrpcMessage & { outputs: [{ shape: string[] }]; raw_output_contents: [Buffer] };
  const grpc: Seen = {
    shape: answer.outputs[0].shape.map(Number),
    bytes: answer.raw_output_contents[0],
  };
  return { http, grpc };
}

describe("Triton's suite", () => {
  it.each(['FP32', 'INT8', 'BYTES'] as const)(
    'L0_infer_zero: a tensor of %s without elements comes back without elements',
    async (datatype) => {
      const { http, grpc } = await identity(datatype, [0, 2], new Uint8Array());
      expect(http).toEqual({ shape: [0, 2], bytes: Buffer.alloc(0) });
      expect(grpc).toEqual(http);
    },
  );

  it.each([
    ['empty', ['', '']],
    ['long', ['x'.repeat(70_000), 'y']],
    ['not ASCII', ['日本', 'añb']],
    ['of other lengths', ['a', 'bcd']],
  ])('L0_string_io: strings that are %s come back as they are', async (_, strings) => {
    const { bytes } = Tensor.from('BYTES', [1, 2], strings);
    const { http, grpc } = await identity('BYTES', [1, 2], bytes);
    expect(new Tensor('BYTES', [1, 2], http.bytes).strings()).toEqual(strings);
    expect(grpc.bytes).toEqual(http.bytes);
  });

  it('L0_large_payload: a tensor of 32 MiB comes back whole', async () => {
    const rows = 4 * 1024 * 1024;
    const floats = Float32Array.from({ length: rows * 2 }, (_, index) => index);
    const bytes = Buffer.from(floats.buffer);
    const { http, grpc } = await identity('FP32', [rows, 2], bytes);
    expect(http.shape).toEqual([rows, 2]);
    expect([http.bytes.equals(bytes), grpc.bytes.equals(bytes)]).toEqual([true, true]);
  });

  it('L0_parameters: parameters of any kind are taken, reserved ones refused', async () => {
    const infer = async (parameters: object) => {
      const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }];
      const response = await fetch(`${gateway.http}/v2/models/fp32/infer`, {
        method: 'POST',
        body: JSON.stringify({ inputs, parameters }),
      });
      return response.status;
    };
    expect(await infer({ key1: 'value', key2: 5, key3: true, key4: 123.5 })).toBe(200);
    expect(await infer({ triton_: 1 })).toBe(400);
    const request = (parameters: object) => ({
      model_name: 'fp32',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }],
      raw_input_contents: [Buffer.alloc(8)],
      parameters,
    });
    const given = { key1: { string_param: 'value' }, key2: { int64_param: 5 } };
    expect(await caller.call('ModelInfer', request(given))).toMatchObject({ model_name: 'fp32' });
    await expect(
      caller.call('ModelInfer', request({ triton_x: { bool_param: true } })),
    ).rejects.toThrow(/reserved for Triton usage/);
  });
});
