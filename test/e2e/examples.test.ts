import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_NETWORK } from '../../protocols/protocol-id.ts';
import { runCommand } from '../support/swarm-command.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));

describe('An example program', () => {
  let testnet: Testnet;
  let publisher = '';

  beforeAll(async () => {
    // The programs are a user's: they know no network but the default one.
    testnet = await createTestnet({ nodes: 2, clients: 0, network: DEFAULT_NETWORK });
    for (const name of ['digits', 'language', 'travel']) {
      const folder = path.join(EXAMPLES, 'models', name, 'model');
      const settings = await readFile(path.join(folder, 'swarm.json'));
      const model = await readFile(path.join(folder, 'model.onnx'));
      ({ publisher } = await testnet.publish(model, { name, files: { 'swarm.json': settings } }));
    }
  });
  afterAll(() => testnet[Symbol.asyncDispose]());

  const run = (program: string, ...args: string[]) =>
    runCommand(
      process.execPath,
      ['--conditions=swarm-source', path.join(EXAMPLES, program), ...args],
      { cwd: EXAMPLES },
    );

  it('reads a digit from a picture', async () => {
    const [address = ''] = testnet.bootstrapAddresses;
    const picture = path.join(EXAMPLES, 'models/digits/inputs/6-67.png');
    const { code, stdout, stderr } = await run(
      'read-digit.ts',
      address,
      `${publisher}/digits`,
      picture,
    );
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/\b6\b/);
  });

  it('tells the language of a text', async () => {
    const [address = ''] = testnet.bootstrapAddresses;
    const { code, stdout, stderr } = await run(
      'classify-text.ts',
      address,
      `${publisher}/language`,
      'Wer hat an der Uhr gedreht, ist es wirklich schon so spät?',
    );
    expect(code, stderr).toBe(0);
    expect(stdout).toContain('German');
  });

  it('goes through all that the client does', async () => {
    const [address = ''] = testnet.bootstrapAddresses;
    const { code, stdout, stderr } = await run('sdk-tour.ts', address, `${publisher}/digits`);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^a 1, from /m);
    expect(stdout).toMatch(/^ended by AbortError$/m);
    expect(stdout).toMatch(/^2 rows of an answer$/m);
    expect(stdout).toMatch(/^ERR_INVALID_INPUT: input 'image'/m);
  });

  it('keeps calling while a node leaves', async () => {
    const [address = ''] = testnet.bootstrapAddresses;
    const calling = run('keep-calling.ts', address, `${publisher}/travel`, '3');
    await testnet.nodes[0]?.stop();
    const { code, stdout, stderr } = await calling;
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/0 failed/);
  });

  it('says in one line what went wrong', async () => {
    const [address = ''] = testnet.bootstrapAddresses;
    const { code, stderr } = await run('classify-text.ts', address, `${publisher}/nothing`, 'x');
    expect(code).toBe(1);
    expect(stderr).toContain('ERR_NOT_FOUND');
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});
