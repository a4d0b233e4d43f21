/** What Triton's suites L0_grpc and L0_input_validation assert, each a fact of its own; docs/triton-conformance.md has them in a table. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GrpcMessage } from '../support/grpc-caller.ts';
import { loopModel } from '../support/models.ts';
import { buildModel } from '../support/onnx-builder.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';
import { TritonCaller } from '../support/triton-caller.ts';
import { identityModel, simpleModel } from '../support/triton-models.ts';

let testnet: Testnet;
let gateway: TestGateway;
let caller: TritonCaller;

const NAMES = ['INPUT0', 'INPUT1', 'INPUT2'];

beforeAll(async () => {
  testnet = await createTestnet({ nodes: 1, clients: 0 });
  await testnet.publish(simpleModel(), { name: 'simple' });
  await testnet.publish(identityModel('FP32'), { name: 'fp32' });
  const specs = (names: readonly string[]) =>
    names.map((name) => ({ name, datatype: 'FP32', shape: [1] }) as const);
  const three = buildModel({
    inputs: specs(NAMES),
    outputs: specs(['OUTPUT0', 'OUTPUT1', 'OUTPUT2']),
    nodes: NAMES.map((name) => ({
      ...{ op: 'Identity', inputs: [name], outputs: [name.replace('IN', 'OUT')] },
    })),
  });
  await testnet.publish(three, { name: 'input_all_required' });
  await testnet.publish(loopModel(), { name: 'loop' });
  gateway = await startTestGateway(testnet, { maxBodyBytes: 16 * 1024 * 1024 });
  caller = new TritonCaller(gateway);
});
afterAll(async () => {
  caller?.[Symbol.dispose]();
  await gateway?.[Symbol.asyncDispose]();
  await testnet?.[Symbol.asyncDispose]();
});

const int32 = (value: number) => Buffer.from(new Int32Array(16).fill(value).buffer);

const simple = (more: object = {}) => ({
  model_name: 'simple',
  inputs: ['INPUT0', 'INPUT1'].map((name) => ({ name, datatype: 'INT32', shape: [1, 16] })),
  raw_input_contents: [int32(3), int32(1)],
  ...more,
});

const given = (names: readonly string[]) => ({
  model_name: 'input_all_required',
  inputs: names.map((name) => ({ name, datatype: 'FP32', shape: [1] })),
  raw_input_contents: names.map(() => Buffer.alloc(4)),
});

const outputsOf = (answer: GrpcMessage) => answer['raw_output_contents'] as unknown as Buffer[];

const typed = (contents: object) => ({
  model_name: 'simple',
  inputs: ['INPUT0', 'INPUT1'].map((name) => ({
    ...{ name, datatype: 'INT32', shape: [1, 16], contents },
  })),
});

/** The status a call is refused with. */
const refusal = (request: object, name = 'ModelInfer') =>
  caller.grpc.call(name, request).then(
    () => ({ code: status.OK, details: '' }),
    ({ code, details }: { code: number; details: string }) => ({ code, details }),
  );

describe('Calls', () => {
  it('L0_grpc: raw contents are answered by raw contents', async () => {
    const answer = await caller.grpc.call('ModelInfer', simple());
    expect(outputsOf(answer)).toEqual([int32(4), int32(2)]);
  });

  it('L0_grpc: typed contents are answered by raw contents', async () => {
    const request = typed({ int_contents: Array(16).fill(2) });
    expect(outputsOf(await caller.grpc.call('ModelInfer', request))).toEqual([int32(4), int32(0)]);
  });

  it('L0_grpc: raw and typed contents at once are refused', async () => {
    const both = { ...typed({ int_contents: [1] }), raw_input_contents: [int32(1), int32(1)] };
    expect(await refusal(both)).toEqual({
      code: status.INVALID_ARGUMENT,
      details:
        "contents field must not be specified when using raw_input_contents for 'INPUT0' for model 'simple'",
    });
  });

  it('L0_grpc: typed contents in the field of another datatype are refused', async () => {
    expect(await refusal(typed({ fp32_contents: [1] }))).toMatchObject({
      ...{ code: status.INVALID_ARGUMENT, details: expect.stringContaining('int_contents') },
    });
  });

  it('L0_grpc: an id is answered as it came, and none as none', async () => {
    expect(await caller.grpc.call('ModelInfer', simple({ id: 'mine' }))).toMatchObject({
      id: 'mine',
    });
    expect(await caller.grpc.call('ModelInfer', simple())).toMatchObject({ id: '' });
  });

  it('L0_grpc: a message of 8 MiB is taken', async () => {
    const shape = [1024 * 1024, 2];
    const bytes = Buffer.alloc(8 * 1024 * 1024, 1);
    const seen = await caller.identityOverGrpc('fp32', { datatype: 'FP32', shape, bytes });
    expect([seen.shape, seen.bytes.equals(bytes)]).toEqual([shape, true]);
  });

  it('L0_grpc: a message above the bound is refused', async () => {
    const bytes = Buffer.alloc(24 * 1024 * 1024);
    const request = { datatype: 'FP32', shape: [3 * 1024 * 1024, 2], bytes } as const;
    await expect(caller.identityOverGrpc('fp32', request)).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
  });

  it('L0_grpc: a call that is cancelled ends as cancelled, and its run with it', async () => {
    const leaving = new AbortController();
    const request = {
      model_name: 'loop',
      inputs: [{ name: 'trips', datatype: 'INT64', shape: [] }],
      raw_input_contents: [Buffer.from(BigInt64Array.of(30_000_000n).buffer)],
    };
    const call = caller.grpc.call('ModelInfer', request, { signal: leaving.signal });
    const metrics = async () => (await fetch(gateway.metrics)).text();
    await expect.poll(metrics, { timeout: 20_000 }).toContain('requests_in_flight 1');
    leaving.abort();
    await expect(call).rejects.toMatchObject({ code: status.CANCELLED });
    await expect.poll(metrics, { timeout: 20_000 }).toContain('requests_in_flight 0');
  });
});

describe('Streams', () => {
  const answersTo = async (requests: readonly object[], metadata: Record<string, string> = {}) => {
    const stream = caller.grpc.stream('ModelStreamInfer', { metadata });
    for (const request of requests) stream.write(request);
    stream.end();
    const answers: GrpcMessage[] = [];
    try {
      for await (const answer of stream) answers.push(answer);
      return { answers, code: status.OK };
    } catch (error) {
      return { answers, code: (error as { code: number }).code };
    }
  };

  it('L0_grpc: a failure on a stream is a message, and the stream goes on', async () => {
    const bad = simple({ id: 'bad', model_name: 'nothing' });
    const { answers, code } = await answersTo([bad, simple({ id: 'good' })]);
    expect(code).toBe(status.OK);
    expect(answers).toMatchObject([
      { error_message: "Request for unknown model: 'nothing' is not found" },
      { error_message: '', infer_response: { id: 'good' } },
    ]);
  });

  it('L0_grpc: a failure ends a stream that asks for statuses with triton_grpc_error', async () => {
    const bad = simple({ model_name: 'nothing' });
    expect(await answersTo([bad], { triton_grpc_error: 'true' })).toEqual({
      ...{ answers: [], code: status.NOT_FOUND },
    });
  });

  it('L0_grpc: an answer is told to be the last of its request where that is asked for', async () => {
    const parameters = { triton_enable_empty_final_response: { bool_param: true } };
    const { answers } = await answersTo([simple(), simple({ parameters })]);
    expect(answers.map((answer) => 'triton_final_response' in parametersOf(answer))).toEqual([
      ...[false, true],
    ]);
  });

  const parametersOf = ({ infer_response: answer }: GrpcMessage): object =>
    (answer as unknown as { readonly parameters: object }).parameters;
});

it('L0_grpc: a group that is restricted is refused without its header, the others are not', async () => {
  const restrictFile = path.join(testnet.folder, 'restricted');
  await writeFile(restrictFile, 'health,inference:infer-key=1\nmodel-repository:admin-key=2\n');
  await using restricted = await startTestGateway(testnet, { restrictFile });
  using asking = new TritonCaller(restricted);
  const { grpc } = asking;
  const metadata = { 'triton-grpc-protocol-infer-key': '1' };
  const refused = { details: expect.stringMatching(/^This protocol is restricted/) };
  for (const [name, request] of [
    ['ServerLive', {}],
    ['ModelInfer', simple()],
    ['RepositoryModelUnload', { model_name: 'simple' }],
  ] as const) {
    await expect(grpc.call(name, request)).rejects.toMatchObject(refused);
  }
  await expect(
    grpc.call('RepositoryModelUnload', { model_name: 'simple' }, { metadata }),
  ).rejects.toMatchObject(refused);
  expect(await grpc.call('ModelStatistics', { name: 'simple' })).toBeDefined();
  expect(await grpc.call('ServerLive', {}, { metadata })).toEqual({ live: true });
  expect(outputsOf(await grpc.call('ModelInfer', simple(), { metadata }))).toHaveLength(2);
  const admin = { metadata: { 'triton-grpc-protocol-admin-key': '2' } };
  await expect(
    grpc.call('RepositoryModelUnload', { model_name: 'simple' }, admin),
  ).rejects.toMatchObject({ code: status.PERMISSION_DENIED, details: /--admin/ });
});

describe('Input validation', () => {
  it('L0_input_validation: no inputs are refused, with the names of all that are missing', async () => {
    expect(await refusal(given([]))).toEqual({
      code: status.INVALID_ARGUMENT,
      details:
        "expected 3 inputs but got 0 inputs for model 'input_all_required'. Got input(s) [], but missing required input(s) ['INPUT0','INPUT1','INPUT2']. Please provide all required input(s).",
    });
  });

  it('L0_input_validation: some inputs are refused, with the names of those that are missing', async () => {
    expect(await refusal(given(['INPUT0']))).toEqual({
      code: status.INVALID_ARGUMENT,
      details:
        "expected 3 inputs but got 1 inputs for model 'input_all_required'. Got input(s) ['INPUT0'], but missing required input(s) ['INPUT1','INPUT2']. Please provide all required input(s).",
    });
  });

  it('L0_input_validation: an input that the model has not is refused', async () => {
    expect(await refusal(given([...NAMES, 'INPUT3']))).toMatchObject({
      ...{ code: status.INVALID_ARGUMENT, details: expect.stringContaining('INPUT3') },
    });
  });

  it('L0_input_validation: another number of bytes than the shape has is refused', async () => {
    const raw = [Buffer.alloc(72), int32(1)];
    expect(await refusal(simple({ raw_input_contents: raw }))).toEqual({
      code: status.INVALID_ARGUMENT,
      details:
        "input byte size mismatch for input 'INPUT0' for model 'simple'. Expected 64, got 72",
    });
  });

  it('L0_input_validation: another shape than the model has is refused', async () => {
    const inputs = simple().inputs.map((input) => ({ ...input, shape: [1, 8] }));
    const raw = [Buffer.alloc(32), Buffer.alloc(32)];
    expect(await refusal(simple({ inputs, raw_input_contents: raw }))).toEqual({
      code: status.INVALID_ARGUMENT,
      details:
        "unexpected shape for input 'INPUT0' for model 'simple'. Expected [-1,16], got [1,8]",
    });
  });

  it('L0_input_validation: another datatype than the model has is refused', async () => {
    const inputs = simple().inputs.map((input) => ({ ...input, datatype: 'FP32' }));
    expect(await refusal(simple({ inputs }))).toEqual({
      code: status.INVALID_ARGUMENT,
      details: "inference input 'INPUT0' data-type is 'FP32', but model 'simple' expects 'INT32'",
    });
  });

  it('L0_input_validation: a path in place of a name is refused, and the server lives', async () => {
    for (const name of ['../../etc/passwd', 'a/../b', 'x'.repeat(5_000)]) {
      const { code } = await refusal({ model_name: name }, 'RepositoryModelLoad');
      expect([status.INVALID_ARGUMENT, status.NOT_FOUND, status.PERMISSION_DENIED]).toContain(code);
    }
    expect(await caller.grpc.call('ServerLive', {})).toEqual({ live: true });
  });
});
