import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addModel, loopModel } from '../support/models.ts';
import { buildModel } from '../support/onnx-builder.ts';
import { runSwarm } from '../support/swarm-command.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const NOBODY = '12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo';
const CID = 'bafyreigfgobggyyn37zoptjtamrw7nuql7qmdocz4nirtx5adrznfpwgme';

describe('swarm, given something wrong,', () => {
  let testnet: Testnet;
  let reference = '';
  let loop = '';
  let join: string[] = [];

  beforeAll(async () => {
    testnet = await createTestnet({
      nodes: 2,
      clients: 0,
      node: { executionLimitMs: 3_000 },
    });
    const { publisher } = await testnet.publish(addModel(), { name: 'adder' });
    reference = `${publisher}/adder`;
    await testnet.publish(loopModel(), { name: 'loop' });
    loop = `${publisher}/loop`;
    join = testnet.bootstrapAddresses.flatMap((address) => ['--bootstrap', address]);
    join.push('--network', testnet.network);
  });
  afterAll(() => testnet[Symbol.asyncDispose]());

  /** One line on stderr, the code in it, the exit code docs/cli.md promises, and no stack. */
  const refuses = async (
    args: readonly string[],
    expected: { readonly code: string; readonly exit: number; readonly says: string },
    input = '',
  ) => {
    const [plain, json] = await Promise.all([
      runSwarm(args, { cwd: testnet.folder, input }),
      runSwarm([...args, '--json'], { cwd: testnet.folder, input }),
    ]);
    expect(plain.code, plain.stderr).toBe(expected.exit);
    const told = plain.stderr.trimEnd().split('\n');
    expect(told.at(-1)).toMatch(/^error: .*\(ERR_[A-Z_]+\)$/);
    expect(told.at(-1)).toContain(expected.says);
    expect(told.at(-1)).toContain(`(${expected.code})`);
    expect(plain.stderr).not.toMatch(/^\s+at /m);
    expect(json.code).toBe(expected.exit);
    expect(json.events.at(-1)).toMatchObject({ event: 'error', code: expected.code });
  };

  const request = (change: Record<string, unknown>): string =>
    JSON.stringify({
      inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4], ...change }],
    });
  const infer = (ref = reference): string[] => ['infer', ref, '--request', '-', ...join];

  it('says that the peers it reached are of another network', async () => {
    const elsewhere = [...join.slice(0, -1), 'elsewhere'];
    const says = "is of network 'elsewhere' (--network)";
    await refuses(['nodes', 'ls', ...elsewhere], { code: 'ERR_CONNECTION', exit: 7, says });
    const file = path.join(testnet.folder, 'adder.onnx');
    await writeFile(file, addModel());
    const publish = ['publish', file, '--name', 'adder', '--data', testnet.folder, '--no-golden'];
    await refuses([...publish, ...elsewhere], { code: 'ERR_NO_NODE', exit: 4, says });
  });

  it('says that a model is unknown', () =>
    refuses(
      infer(`${NOBODY}/adder`),
      { code: 'ERR_NOT_FOUND', exit: 3, says: 'is unknown' },
      request({}),
    ));

  it('says that a version is served by nobody', () =>
    refuses(
      infer(`${reference}@${CID}`),
      { code: 'ERR_NO_NODE', exit: 4, says: 'no node' },
      request({}),
    ));

  it.each([
    ['a wrong input name', { name: 'y' }, "unknown input 'y'"],
    ['a wrong datatype', { datatype: 'FP64' }, 'expected FP32'],
    ['an unknown datatype', { datatype: 'FLOAT' }, 'FLOAT'],
    ['a wrong rank', { shape: [4] }, 'expected [batch, 4]'],
    ['a wrong dimension', { shape: [1, 3], data: [1, 2, 3] }, 'expected [batch, 4]'],
    ['data that does not fill the shape', { data: [1, 2, 3] }, 'found 3'],
    ['text where numbers belong', { data: ['a', 'b', 'c', 'd'] }, 'inputs[0].data'],
  ])('says of %s what was expected and found', (_what, change, says) =>
    refuses(infer(), { code: 'ERR_INVALID_INPUT', exit: 5, says }, request(change)),
  );

  it('says that an input is missing', () =>
    refuses(
      infer(),
      { code: 'ERR_INVALID_INPUT', exit: 5, says: "input 'x' is missing" },
      JSON.stringify({ inputs: [] }),
    ));

  it.each([
    ['', 'expected'],
    ['{', 'not JSON'],
    ['[]', 'expected'],
    ['{"inputs":{}}', 'inputs: expected'],
  ])('says what is wrong with request %j', (text, says) =>
    refuses(infer(), { code: 'ERR_INVALID_INPUT', exit: 5, says }, text),
  );

  it.each([
    ['{"inputs" []}', "request file wrong.json: not JSON: Expected ':'", /position 10\b/],
    ['{"inputs": {}}', 'request file wrong.json: inputs: expected an array', /./],
  ])('names the file of request %j, and the place in it', async (text, says, place) => {
    await writeFile(path.join(testnet.folder, 'wrong.json'), text);
    const args = ['infer', reference, '--request', 'wrong.json', ...join];
    await refuses(args, { code: 'ERR_INVALID_INPUT', exit: 5, says });
    expect((await runSwarm(args, { cwd: testnet.folder })).stderr).toMatch(place);
  });

  it('says that a request file is not there', () =>
    refuses(['infer', reference, '--request', 'nothing.json', ...join], {
      code: 'ERR_NOT_FOUND',
      exit: 3,
      says: 'nothing.json',
    }));

  it('says that a picture is for models that take one', async () => {
    await writeFile(path.join(testnet.folder, 'x.png'), 'no picture');
    await refuses(['infer', reference, '--image', 'x.png', ...join], {
      code: 'ERR_INVALID_INPUT',
      exit: 5,
      says: 'preprocessing',
    });
  });

  it('says that nobody answers at an address', () =>
    refuses(
      ['nodes', 'ls', '--bootstrap', `/ip4/127.0.0.1/tcp/9/p2p/${NOBODY}`, '--deadline', '2000'],
      { code: 'ERR_CONNECTION', exit: 7, says: 'could be reached' },
    ));

  it('says that a deadline passed while a model ran', () =>
    refuses(
      [...infer(loop), '--deadline', '2000'],
      { code: 'ERR_DEADLINE', exit: 6, says: '2000 ms' },
      JSON.stringify({
        inputs: [{ name: 'trips', shape: [], datatype: 'INT64', data: [2_000_000_000] }],
      }),
    ));

  it('says that the time was too short to reach anybody', () =>
    refuses(
      [...infer(), '--deadline', '1'],
      { code: 'ERR_DEADLINE', exit: 6, says: ' ms' },
      request({}),
    ));

  it.each([
    [['frobnicate'], 'unknown command'],
    [['infer'], 'missing required argument'],
    [['nodes', 'ls', '--frob'], "unknown option '--frob'"],
    [['node', '--threads', 'many'], '--threads'],
    [['node', '--bootstrap', 'nonsense', '--data', 'd'], 'is not a multiaddr'],
  ])('says what is wrong with the words %j', (args, says) =>
    refuses(args, { code: 'ERR_CONFIG', exit: 2, says }),
  );

  describe('a model to publish,', () => {
    const publish = async (name: string, bytes: Uint8Array | string) => {
      const folder = path.join(testnet.folder, name);
      await mkdir(folder);
      await writeFile(path.join(folder, 'model.onnx'), bytes);
      return ['publish', folder, '--name', name, '--data', `${folder}-keys`, ...join];
    };

    it('says that there is no such file', () =>
      refuses(['publish', 'nothing.onnx', '--name', 'nothing', ...join], {
        code: 'ERR_NOT_FOUND',
        exit: 3,
        says: 'nothing.onnx',
      }));

    it('says that it is corrupt', async () =>
      refuses(await publish('corrupt', 'this is no model'), {
        code: 'ERR_INVALID_MODEL',
        exit: 5,
        says: 'model.onnx',
      }));

    it('says that it is truncated', async () => {
      const whole = addModel();
      await refuses(await publish('truncated', whole.subarray(0, whole.byteLength - 5)), {
        code: 'ERR_INVALID_MODEL',
        exit: 5,
        says: 'truncated?',
      });
    });

    it('says which nodes refused an unknown operator and why', async () => {
      const model = buildModel({
        inputs: [{ name: 'x', datatype: 'FP32', shape: [1] }],
        outputs: [{ name: 'y', datatype: 'FP32', shape: [1] }],
        nodes: [{ op: 'Frobnicate', inputs: ['x'], outputs: ['y'] }],
      });
      await refuses([...(await publish('frobnicator', model)), '--no-golden'], {
        code: 'ERR_NO_NODE',
        exit: 4,
        says: 'Frobnicate',
      });
    });
  });
});
