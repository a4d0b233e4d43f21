import { once } from 'node:events';
import { connect, constants } from 'node:http2';
import { type Metadata, status } from '@grpc/grpc-js';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Datatype } from '../../protocols/datatype.ts';
import { Tensor } from '../../src/index.ts';
import { GrpcCaller, type GrpcMessage } from '../support/grpc-caller.ts';
import { loopModel } from '../support/models.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';
import { identityModel, SIMPLE_SETTINGS, simpleModel } from '../support/triton-models.ts';

let testnet: Testnet;
let gateway: TestGateway;
let caller: GrpcCaller;
let publisher: string;

const IDENTITIES = ['INT64', 'UINT64', 'INT8', 'BOOL', 'FP32', 'FP64', 'FP16', 'BYTES'] as const;

beforeAll(async () => {
  testnet = await createTestnet({ nodes: 1, clients: 0 });
  const files = { 'swarm.json': SIMPLE_SETTINGS };
  ({ publisher } = await testnet.publish(simpleModel(), { name: 'simple', files }));
  for (const datatype of IDENTITIES) {
    await testnet.publish(identityModel(datatype), { name: datatype.toLowerCase() });
  }
  await testnet.publish(loopModel(), { name: 'loop' });
  gateway = await startTestGateway(testnet, { maxBodyBytes: 16 * 1024 * 1024 });
  caller = new GrpcCaller(gateway.grpc);
});
afterAll(async () => {
  caller?.[Symbol.dispose]();
  await gateway?.[Symbol.asyncDispose]();
  await testnet?.[Symbol.asyncDispose]();
});

const COUNT = Array.from({ length: 16 }, (_, index) => index);
const ONES = COUNT.map(() => 1);

const int32 = (values: readonly number[]) => Buffer.from(Int32Array.from(values).buffer);

function simpleRequest(more: object = {}): object {
  return {
    model_name: 'simple',
    inputs: ['INPUT0', 'INPUT1'].map((name) => ({ name, datatype: 'INT32', shape: [1, 16] })),
    raw_input_contents: [int32(COUNT), int32(ONES)],
    ...more,
  };
}

function identityRequest(datatype: Datatype, contents: object): object {
  return {
    model_name: datatype.toLowerCase(),
    inputs: [{ name: 'x', datatype, shape: [1, 2], contents }],
  };
}

/** What a stream answers until it ends. */
async function messagesOf(stream: AsyncIterable<GrpcMessage>): Promise<GrpcMessage[]> {
  const messages: GrpcMessage[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

const trips = (count: number) => ({
  model_name: 'loop',
  inputs: [{ name: 'trips', datatype: 'INT64', shape: [], contents: { int64_contents: [count] } }],
});

describe('The gRPC API, of server and models', () => {
  it('is live, ready, and says what it is', async () => {
    expect(await caller.call('ServerLive', {})).toEqual({ live: true });
    expect(await caller.call('ServerReady', {})).toEqual({ ready: true });
    expect(await caller.call('ServerMetadata', {})).toMatchObject({
      name: 'gpu-swarm',
      extensions: expect.arrayContaining(['statistics', 'model_configuration']),
    });
  });

  it('answers health checks and watches, and knows only its own services', async () => {
    for (const service of ['', 'inference.GRPCInferenceService']) {
      expect(await caller.call('Check', { service })).toEqual({ status: 'SERVING' });
    }
    await expect(caller.call('Check', { service: 'other' })).rejects.toMatchObject({
      code: status.NOT_FOUND,
    });
    const watch = caller.watch('Watch', { service: '' });
    for await (const message of watch) {
      expect(message).toEqual({ status: 'SERVING' });
      break;
    }
    watch.cancel();
  });

  it('describes a model in metadata, configuration, statistics and the index', async () => {
    const name = 'simple';
    expect(await caller.call('ModelReady', { name })).toEqual({ ready: true });
    expect(await caller.call('ModelMetadata', { name })).toMatchObject({
      versions: ['1'],
      inputs: [{ name: 'INPUT0', datatype: 'INT32', shape: ['-1', '16'] }, {}],
    });
    expect(await caller.call('ModelConfig', { name })).toMatchObject({
      config: {
        max_batch_size: 8,
        input: [{ name: 'INPUT0', data_type: 'TYPE_INT32', dims: ['16'] }, {}],
        dynamic_batching: { max_queue_delay_microseconds: '0' },
      },
    });
    await caller.call('ModelInfer', simpleRequest());
    expect(await caller.call('ModelStatistics', { name })).toMatchObject({
      model_stats: [{ name, inference_count: '1', inference_stats: { success: { count: '1' } } }],
    });
    const { models } = await caller.call('RepositoryIndex', { ready: true });
    expect(models).toContainEqual({
      ...{ name: `${publisher}/simple`, version: '1', state: 'READY', reason: '' },
    });
  });

  it('says of each method of shared memory that it is not supported', async () => {
    for (const kind of ['System', 'Cuda']) {
      for (const what of ['Status', 'Register', 'Unregister']) {
        await expect(caller.call(`${kind}SharedMemory${what}`, {})).rejects.toMatchObject({
          ...{ code: status.UNIMPLEMENTED, details: 'shared memory is not supported' },
        });
      }
    }
  });

  it("answers every call with a request id, the caller's own where it is one", async () => {
    const calls = [
      ['ServerLive', {}],
      ['Check', {}],
      ['ModelInfer', simpleRequest()],
      ['ModelReady', { name: 'nothing' }],
      ['SystemSharedMemoryStatus', {}],
    ] as const;
    for (const [name, request] of calls) {
      expect(await caller.requestId(name, request)).toMatch(/^[0-9a-f-]{36}$/);
      const metadata = { 'x-request-id': 'mine-1' };
      expect(await caller.requestId(name, request, { metadata })).toBe('mine-1');
      const forged = { metadata: { 'x-request-id': 'a b' } };
      expect(await caller.requestId(name, request, forged)).not.toBe('a b');
    }
    const stream = caller.stream('ModelStreamInfer');
    const [answered] = (await once(stream, 'metadata')) as [Metadata];
    expect(answered.get('x-request-id')).toHaveLength(1);
    stream.cancel();
    await once(stream, 'error').catch(() => undefined);
  });

  it("tells of an unknown model in Triton's words", async () => {
    await expect(caller.call('ModelReady', { name: 'nothing' })).rejects.toMatchObject({
      code: status.NOT_FOUND,
      details: "Request for unknown model: 'nothing' is not found",
    });
  });
});

describe('The gRPC API, of inference', () => {
  it('runs a model on raw contents and answers in raw contents', async () => {
    const answer = await caller.call('ModelInfer', simpleRequest({ id: 'mine' }));
    expect(answer).toMatchObject({
      model_name: 'simple',
      model_version: '1',
      id: 'mine',
      parameters: { node: { string_param: testnet.nodes[0]?.id } },
      outputs: [{ name: 'OUTPUT0', datatype: 'INT32', shape: ['1', '16'] }, { name: 'OUTPUT1' }],
      raw_output_contents: [int32(COUNT.map((n) => n + 1)), int32(COUNT.map((n) => n - 1))],
    });
  });

  it.each([
    [
      'INT64',
      { int64_contents: ['9223372036854775807', '-9007199254740993'] },
      [9223372036854775807n, -9007199254740993n],
    ],
    ['UINT64', { uint64_contents: ['18446744073709551615', '0'] }, [18446744073709551615n, 0n]],
    ['INT8', { int_contents: [-128, 127] }, [-128, 127]],
    ['BOOL', { bool_contents: [true, false] }, [true, false]],
    ['FP32', { fp32_contents: [0.5, Number.NaN] }, [0.5, Number.NaN]],
    ['FP64', { fp64_contents: [Number.NEGATIVE_INFINITY, 0.1] }, [Number.NEGATIVE_INFINITY, 0.1]],
    ['BYTES', { bytes_contents: [Buffer.from('añb'), Buffer.from('')] }, ['añb', '']],
  ] as const)('reads typed contents of %s exactly', async (datatype, contents, values) => {
    const answer = await caller.call('ModelInfer', identityRequest(datatype, contents));
    const [bytes] = answer['raw_output_contents'] as unknown as [Uint8Array];
    expect(new Tensor(datatype, [1, 2], bytes).toArray()).toEqual(values);
  });

  it.each([
    [
      'FP16 in typed contents',
      identityRequest('FP16', { fp32_contents: [1, 2] }),
      /raw_input_contents/,
    ],
    [
      'the field of another datatype',
      identityRequest('INT64', { int_contents: [1, 2] }),
      /expected its elements in int64_contents, found int_contents/,
    ],
    [
      'too few elements',
      identityRequest('INT64', { int64_contents: [1] }),
      /needs 2 elements, got 1/,
    ],
    [
      'a number out of range',
      identityRequest('INT8', { int_contents: [1, 300] }),
      /not a INT8 value/,
    ],
    [
      'both forms',
      {
        ...identityRequest('INT64', { int64_contents: [1, 2] }),
        raw_input_contents: [Buffer.alloc(16)],
      },
      /^contents field must not be specified when using raw_input_contents for 'x' for model 'int64'$/,
    ],
    [
      'too few bytes',
      simpleRequest({ raw_input_contents: [int32(COUNT), int32([1])] }),
      /^input byte size mismatch for input 'INPUT1' for model 'simple'. Expected 64, got 4$/,
    ],
    [
      'no inputs',
      { model_name: 'simple' },
      /^expected 2 inputs but got 0 inputs for model 'simple'. Got input\(s\) \[\], but missing required input\(s\) \['INPUT0','INPUT1'\]/,
    ],
    [
      'an unknown output',
      simpleRequest({ outputs: [{ name: 'DUMMY' }] }),
      /^unexpected inference output 'DUMMY' for model/,
    ],
    [
      'a negative dimension',
      { model_name: 'int64', inputs: [{ name: 'x', datatype: 'INT64', shape: [-1, 2] }] },
      /expected an integer >= 0/,
    ],
    [
      'BF16',
      { model_name: 'int64', inputs: [{ name: 'x', datatype: 'BF16', shape: [1, 2] }] },
      /^input 'x' is BF16, which no node runs: expected one of BOOL/,
    ],
  ])('refuses %s as an invalid argument', async (_what, request, details) => {
    await expect(caller.call('ModelInfer', request)).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringMatching(details),
    });
  });

  it('takes priorities as either kind of integer, and ranks classes', async () => {
    for (const priority of [{ int64_param: 1 }, { uint64_param: 1 }]) {
      const request = simpleRequest({
        parameters: { priority },
        outputs: [{ name: 'OUTPUT0', parameters: { classification: { int64_param: 2 } } }],
      });
      const answer = await caller.call('ModelInfer', request);
      expect(answer['outputs']).toMatchObject([{ datatype: 'BYTES', shape: ['1', '2'] }]);
      const [bytes] = answer['raw_output_contents'] as unknown as [Uint8Array];
      expect(new Tensor('BYTES', [1, 2], bytes).strings()).toEqual(['16:15', '15:14']);
    }
  });

  it('takes messages beyond the 4 MiB that libraries allow by themselves, and none beyond its own bound', async () => {
    const request = (rows: number) => ({
      model_name: 'fp32',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [rows, 2] }],
      raw_input_contents: [Buffer.alloc(rows * 8)],
    });
    const { raw_output_contents: raw } = await caller.call('ModelInfer', request(1024 * 1024));
    expect((raw as unknown as [Buffer])[0].byteLength).toBe(8 * 1024 * 1024);
    await expect(caller.call('ModelInfer', request(3 * 1024 * 1024))).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
  });

  it('ends a call at the deadline of its caller', async () => {
    await expect(
      caller.call('ModelInfer', trips(30_000_000), { deadlineMs: 200 }),
    ).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
    const counted = async () => (await fetch(gateway.metrics)).text();
    await expect.poll(counted).toContain('swarm_gateway_requests_in_flight 0');
  });

  it('gives a call up when its caller cancels it', async () => {
    const leaving = new AbortController();
    const call = caller.call('ModelInfer', trips(30_000_000), { signal: leaving.signal });
    const metrics = async () => (await fetch(gateway.metrics)).text();
    await expect.poll(metrics).toContain('swarm_gateway_requests_in_flight 1');
    leaving.abort();
    await expect(call).rejects.toMatchObject({ code: status.CANCELLED });
    await expect.poll(metrics).toContain('swarm_gateway_requests_in_flight 0');
  });
});

describe('A caller that reads nothing', () => {
  const rows = 16_384;
  const large = (method: string) =>
    caller.encode(method, {
      model_name: 'fp32',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [rows, 2] }],
      raw_input_contents: [Buffer.alloc(rows * 8)],
    });

  it.each([
    ['many answers', 'ModelStreamInfer', 40, false],
    ['one answer of a stream', 'ModelStreamInfer', 1, true],
    ['one answer', 'ModelInfer', 1, true],
  ])('of %s is dropped after a time, and what waits for it let go', async (...row) => {
    const [, method, requests, ends] = row;
    const lines: string[] = [];
    const logger = pino({ level: 'debug' }, { write: (line) => lines.push(line) });
    await using strict = await startTestGateway(testnet, { readerTimeoutMs: 300, logger });
    const session = connect(`http://${strict.grpc}`);
    // The end of the connection is told to both.
    session.on('error', () => undefined);
    const stream = session.request({
      ...{ ':method': 'POST', ':path': `/inference.GRPCInferenceService/${method}` },
      ...{ 'content-type': 'application/grpc', te: 'trailers' },
    });
    // Being reset is an error to it.
    stream.on('error', () => undefined);
    const closed = new Promise((resolve) => stream.once('close', resolve));
    for (let count = 0; count < requests; count += 1) stream.write(large(method));
    if (ends) stream.end();
    const told = () => lines.filter((line) => line.includes('no answer was read for 300 ms'));
    await expect.poll(told, { timeout: 20_000 }).toHaveLength(1);
    expect(JSON.parse(told()[0] ?? '{}')).toMatchObject({ requestId: expect.any(String) });
    await closed;
    // Which gRPC tells as RESOURCE_EXHAUSTED.
    expect(stream.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(told()).toHaveLength(1);
    session.destroy();
  });

  it('is not taken for one that waits longer for its model', async () => {
    await using strict = await startTestGateway(testnet, { readerTimeoutMs: 20 });
    using patient = new GrpcCaller(strict.grpc);
    const { outputs } = (await patient.call('ModelInfer', trips(1_000_000))) as {
      readonly outputs?: readonly unknown[];
    };
    expect(outputs).toHaveLength(1);
  });
});

describe('ModelStreamInfer', () => {
  it('answers in order, tells a failure as a message, and goes on', async () => {
    const stream = caller.stream('ModelStreamInfer');
    const last = { triton_enable_empty_final_response: { bool_param: true } };
    stream.write(simpleRequest({ id: 'a' }));
    stream.write(simpleRequest({ id: 'b', model_name: 'nothing' }));
    stream.write(simpleRequest({ id: 'c', parameters: last }));
    stream.end();
    const answers = await messagesOf(stream);
    expect(answers).toMatchObject([
      { error_message: '', infer_response: { id: 'a' } },
      { error_message: /unknown model/, infer_response: { id: 'b' } },
      {
        error_message: '',
        infer_response: { id: 'c', parameters: { triton_final_response: { bool_param: true } } },
      },
    ]);
  });

  it('ends with the status of a failure where that is asked for', async () => {
    const metadata = { triton_grpc_error: 'true' };
    const stream = caller.stream('ModelStreamInfer', { metadata });
    stream.on('data', () => undefined);
    stream.write(simpleRequest({ model_name: 'nothing' }));
    const [error] = await once(stream, 'error').catch((reason: unknown) => [reason]);
    expect(error).toMatchObject({ code: status.NOT_FOUND });
  });

  it('runs many requests at once and loses none', async () => {
    const stream = caller.stream('ModelStreamInfer');
    const ids = Array.from({ length: 300 }, (_, index) => `${index}`);
    for (const id of ids) stream.write(simpleRequest({ id }));
    stream.end();
    const answers = await messagesOf(stream);
    expect(
      answers.map(({ infer_response: answer }) => (answer as unknown as { id: string }).id),
    ).toEqual(ids);
  });
});
