import { connect } from 'node:http2';
import { deflateSync, gzipSync } from 'node:zlib';
import { compressionAlgorithms, credentials, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GrpcCaller } from '../support/grpc-caller.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';
import { identityModel } from '../support/triton-models.ts';

const MIB = 1024 * 1024;

let testnet: Testnet;
let gateway: TestGateway;

beforeAll(async () => {
  testnet = await createTestnet({ nodes: 1, clients: 0 });
  await testnet.publish(identityModel('FP32'), { name: 'fp32' });
  gateway = await startTestGateway(testnet, { maxBodyBytes: MIB });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await testnet?.[Symbol.asyncDispose]();
});

const request = (floats: Float32Array) => ({
  model_name: 'fp32',
  inputs: [{ name: 'x', datatype: 'FP32', shape: [floats.length / 2, 2] }],
  raw_input_contents: [Buffer.from(floats.buffer)],
});

const FLOATS = Float32Array.from({ length: 20_000 }, (_, index) => index % 7);

function callerThat(compresses: 'gzip' | 'deflate'): GrpcCaller {
  return new GrpcCaller(gateway.grpc, credentials.createInsecure(), {
    'grpc.default_compression_algorithm': compressionAlgorithms[compresses],
  });
}

/** Sends one message as these bytes, said to be compressed so; the headers and trailers that come back. */
async function send(encoding: string, message: Buffer) {
  const session = connect(`http://${gateway.grpc}`);
  const stream = session.request({
    ...{ ':method': 'POST', ':path': '/inference.GRPCInferenceService/ModelInfer' },
    ...{ 'content-type': 'application/grpc', te: 'trailers', 'grpc-encoding': encoding },
  });
  const head = Buffer.alloc(5);
  head.writeUInt8(1);
  head.writeUInt32BE(message.byteLength, 1);
  stream.end(Buffer.concat([head, message]));
  const seen: Record<string, unknown> = {};
  stream.on('response', (headers) => Object.assign(seen, headers));
  stream.on('trailers', (trailers) => Object.assign(seen, trailers));
  stream.resume();
  await new Promise((resolve) => stream.once('close', resolve));
  session.destroy();
  return seen;
}

describe('gRPC compression', () => {
  it.each(['gzip', 'deflate'] as const)(
    'is taken of requests by %s, one and many',
    async (algorithm) => {
      using caller = callerThat(algorithm);
      const answer = await caller.call('ModelInfer', request(FLOATS));
      const [raw] = answer['raw_output_contents'] as unknown as [Buffer];
      expect(raw.equals(Buffer.from(FLOATS.buffer))).toBe(true);
      const stream = caller.stream('ModelStreamInfer');
      for (const id of ['a', 'b', 'c']) stream.write({ ...request(FLOATS), id });
      stream.end();
      const ids: unknown[] = [];
      for await (const { infer_response: one } of stream) ids.push((one as { id: string }).id);
      expect(ids).toEqual(['a', 'b', 'c']);
    },
  );

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
  ] as const)(
    'by %s really comes compressed, and the answer says that it is not, and what may be sent',
    async (encoding, compress) => {
      using caller = new GrpcCaller(gateway.grpc);
      const message = caller.encode('ModelInfer', request(FLOATS)).subarray(5);
      const compressed = compress(message);
      expect(compressed.byteLength).toBeLessThan(message.byteLength / 10);
      expect(await send(encoding, compressed)).toMatchObject({
        ...{ 'grpc-encoding': 'identity', 'grpc-accept-encoding': 'identity,deflate,gzip' },
        'grpc-status': String(status.OK),
      });
    },
  );

  it.each(['gzip', 'deflate'] as const)(
    'by %s is bounded by what comes of it',
    async (algorithm) => {
      using caller = callerThat(algorithm);
      const large = request(new Float32Array(MIB));
      await expect(caller.call('ModelInfer', large)).rejects.toMatchObject({
        ...{ code: status.RESOURCE_EXHAUSTED, details: /decompresses to a size larger than/ },
      });
    },
  );

  it.each([
    ['br', gzipSync(Buffer.alloc(8)), status.UNIMPLEMENTED],
    // As gRPC has it: the bytes are broken, and nobody knows by whom.
    ['gzip', Buffer.from('no gzip'), status.INTERNAL],
    ['deflate', deflateSync(Buffer.alloc(64)).subarray(0, 6), status.INTERNAL],
  ])('by %s is refused where it cannot be undone', async (encoding, message, code) => {
    expect(await send(encoding, message)).toMatchObject({ 'grpc-status': String(code) });
  });
});
