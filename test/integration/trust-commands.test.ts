import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SwarmNode } from '../../node/index.ts';
import { addTo, Liar } from '../support/lying-backend.ts';
import { addModel } from '../support/models.ts';
import { type CommandResult, runSwarm } from '../support/swarm-command.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const REQUEST = JSON.stringify({
  inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: [0.1, 2, 3, 4] }],
});

/** An answer as `swarm infer` prints it. */
interface Answer {
  readonly model_version: string;
  readonly outputs: readonly { readonly data: readonly number[] }[];
  readonly parameters: Readonly<Record<string, string | number>>;
}

describe('The commands for trust, each in a process of its own', () => {
  let testnet: Testnet;
  let reference = '';
  let nodes: readonly SwarmNode[] = [];
  const liars = Array.from({ length: 4 }, () => new Liar());

  beforeAll(async () => {
    testnet = await createTestnet({ nodes: 0, clients: 0 });
    nodes = await Promise.all(
      liars.map((liar) => testnet.addNode({ backend: liar.createBackend() })),
    );
    const { publisher } = await testnet.publish(addModel(1), { name: 'adder', replicas: 4 });
    reference = `${publisher}/adder`;
  }, 60_000);
  afterAll(() => testnet[Symbol.asyncDispose]());

  /** A folder of a user with a request in it. */
  async function newUser(): Promise<string> {
    const folder = await mkdtemp(path.join(testnet.folder, 'user-'));
    await writeFile(path.join(folder, 'request.json'), REQUEST);
    return folder;
  }

  async function swarm(cwd: string, ...args: readonly string[]): Promise<CommandResult> {
    return runSwarm(args, { cwd });
  }

  async function infer(cwd: string, ...options: readonly string[]): Promise<CommandResult> {
    return swarm(
      cwd,
      ...['infer', reference, '--request', 'request.json', '--data', 'data', ...options],
      ...['--network', testnet.network],
      ...testnet.bootstrapAddresses.flatMap((address) => ['--bootstrap', address]),
    );
  }

  const answerOf = ({ stdout }: CommandResult): Answer => JSON.parse(stdout) as Answer;

  it('infer --receipt keeps what receipt verify finds to be of the request and the response', async () => {
    const folder = await newUser();
    const result = await infer(folder, '--receipt', 'a.receipt');
    expect(result).toMatchObject({ code: 0 });
    await writeFile(path.join(folder, 'response.json'), result.stdout);
    if (process.platform !== 'win32') {
      expect((await stat(path.join(folder, 'a.receipt'))).mode & 0o777).toBe(0o600);
    }
    const { parameters, model_version: version } = answerOf(result);
    const verify = ['receipt', 'verify', 'a.receipt', '--json'];
    const given = ['--request', 'request.json', '--response', 'response.json'];
    const verified = await swarm(folder, ...verify, ...given);
    expect(verified).toMatchObject({ code: 0, stderr: '' });
    expect(verified.events).toMatchObject([
      {
        ...{ event: 'receipt', node: parameters['node'], version, provider: 'cpu' },
        checked: ['signature', 'node', 'version', 'inputs', 'outputs'],
        unchecked: ['caller'],
      },
    ]);
    // One digit of the answer is another.
    await writeFile(path.join(folder, 'response.json'), result.stdout.replace('1.1', '1.2'));
    expect(await swarm(folder, ...verify, ...given)).toMatchObject({ code: 5 });
    const receipt = await readFile(path.join(folder, 'a.receipt'));
    receipt[receipt.length - 100] = (receipt[receipt.length - 100] ?? 0) ^ 1;
    await writeFile(path.join(folder, 'a.receipt'), receipt);
    const altered = await swarm(folder, ...verify);
    expect(altered.code).toBe(5);
    expect(altered.events).toMatchObject([{ event: 'error', code: 'ERR_INVALID_RECORD' }]);
  });

  it('infer writes over no file, and says so before it asks anybody', async () => {
    const folder = await newUser();
    const result = await infer(folder, '--receipt', 'request.json');
    expect(result).toMatchObject({ code: 5, stdout: '' });
    expect(result.stderr).toContain('request.json is there already');
    expect(await readFile(path.join(folder, 'request.json'), 'utf8')).toBe(REQUEST);
  });

  it('infer --verify finds a liar, writes it down, and no later run of the user asks it', async () => {
    const folder = await newUser();
    const liar = liars[1];
    const node = nodes[1];
    if (liar === undefined || node === undefined) expect.fail('no such node');
    liar.lie = addTo(1);
    let told = '';
    await expect
      .poll(
        async () => {
          const result = await infer(folder, '--verify', '3');
          expect(result.code).toBe(0);
          expect(answerOf(result).outputs[0]?.data[0]).toBeCloseTo(1.1, 6);
          expect(answerOf(result).parameters).toMatchObject({ verify: 3, verify_agreed: 3 });
          told += result.stderr;
          return (await swarm(folder, 'nodes', 'evidence', '--data', 'data', '--json')).events;
        },
        { timeout: 50_000 },
      )
      .toMatchObject([
        {
          ...{ event: 'evidence', charge: 'lie', avoidedUntil: 'ever', signed: true, fault: null },
          accused: { node: node.id, owner: node.id, provider: 'cpu' },
          ...{ name: 'adder', tensors: true, difference: expect.stringContaining("'sum'") },
        },
      ]);
    expect(told).toContain("is charged with 'lie' and not asked again");
    const answered = liar.answers;
    // It lies no more, and would be the fastest.
    liar.lie = undefined;
    for (let run = 0; run < 3; run += 1) {
      const { parameters } = answerOf(await infer(folder));
      expect(parameters['node']).not.toBe(node.id);
      expect((await infer(folder, '--verify', '3')).code).toBe(0);
    }
    expect(liar.answers).toBe(answered);
    // What is held against it is this user's alone.
    expect((await swarm(await newUser(), 'nodes', 'evidence', '--data', 'data')).stdout).toBe('');
  });

  it('infer --verify ends with a typed disagreement when every owner says something else', async () => {
    for (const [index, liar] of liars.entries()) liar.lie = addTo(index);
    const result = await infer(await newUser(), '--verify', '3', '--json');
    for (const liar of liars) liar.lie = undefined;
    expect(result.code).toBe(1);
    expect(result.events).toMatchObject([{ event: 'error', code: 'ERR_DISAGREEMENT' }]);
  });

  it.each([
    [['--verify', '1'], '--verify is "1", expected an integer from 2 to 7'],
    [['--verify', '3', '--explain'], 'expected --explain without --verify and --receipt'],
    [['--receipt', 'gone/a.receipt'], 'there is no folder'],
  ])('infer %j is refused before anybody is asked', async (options, message) => {
    const { code, stderr, stdout } = await infer(await newUser(), ...options);
    expect([1, 2]).toContain(code);
    expect(stdout).toBe('');
    expect(stderr).toContain(message);
  });
});
