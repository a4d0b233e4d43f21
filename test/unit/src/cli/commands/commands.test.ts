import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { runBootstrap } from '../../../../../src/cli/commands/bootstrap.ts';
import { runConfig } from '../../../../../src/cli/commands/config.ts';
import { runInfer } from '../../../../../src/cli/commands/infer.ts';
import { runModelsList } from '../../../../../src/cli/commands/models.ts';
import { runNode } from '../../../../../src/cli/commands/node.ts';
import { runPublish } from '../../../../../src/cli/commands/publish.ts';
import { Interrupted } from '../../../../../src/cli/interrupt.ts';
import { refusal } from '../../../../support/refusal.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';
import { createTestContext, events } from '../command-host.ts';

const REF = '12D3KooWGUNKy1gZGogRpZ4aGk51htsrmC2HmxoNueEhU8B3nAbD/digits';

describe('runInfer', () => {
  it.each([
    [{}, 'neither'],
    [{ request: 'a.json', image: 'b.png' }, 'both'],
  ])('wants one input, and finds %j to be %s', async (given, found) => {
    const { context } = await createTestContext();
    await expect(runInfer(context, { ref: REF, ...given })).rejects.toEqual(
      refusal('ERR_CONFIG', `expected one of --request <file> and --image <file>, found ${found}`),
    );
  });

  it.each(['request', 'image'])(
    'says of a missing %s file its name, before it joins',
    async (kind) => {
      const { context } = await createTestContext();
      await expect(runInfer(context, { ref: REF, [kind]: 'gone.file' })).rejects.toEqual(
        refusal('ERR_NOT_FOUND', `${kind} file gone.file does not exist`),
      );
    },
  );

  it('refuses a reference that is none before it reads anything', async () => {
    const { context } = await createTestContext();
    await expect(runInfer(context, { ref: 'digits', request: '-' })).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', /^model reference "digits" is not valid/),
    );
  });

  it('refuses to join when there is no way in', async () => {
    const { context } = await createTestContext({ mdns: false }, { stdin: ['{"inputs":[]}'] });
    await expect(runInfer(context, { ref: REF, request: '-' })).rejects.toEqual(
      refusal(
        'ERR_CONFIG',
        'there is no way into the swarm: give --bootstrap, or leave out --no-mdns',
      ),
    );
  });
});

describe('runModelsList', () => {
  it('says which addresses it tried when nobody answers', async () => {
    const bootstrap = [
      '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWGUNKy1gZGogRpZ4aGk51htsrmC2HmxoNueEhU8B3nAbD',
    ];
    const { context } = await createTestContext({ bootstrap, deadlineMs: '500' });
    await expect(runModelsList(context, {})).rejects.toEqual(
      refusal('ERR_CONNECTION', /^no peer of network 'main' could be reached \(tried \/ip4\/127/),
    );
  });
});

describe('runPublish', () => {
  it('refuses a malformed name, and a model that is not there, before it makes a key', async () => {
    await using folder = await createTestFolder();
    const data = path.join(folder.path, 'data');
    const { context, written } = await createTestContext({ data }, { cwd: folder.path });
    await expect(runPublish(context, { what: 'x.onnx', name: 'Bad Name' })).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', /^model name "Bad Name" is not valid/),
    );
    await expect(runPublish(context, { what: 'x.onnx', name: 'digits' })).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_/),
      message: expect.stringContaining('x.onnx'),
    });
    await writeFile(path.join(folder.path, 'x.onnx'), 'not a model');
    await expect(runPublish(context, { what: 'x.onnx', name: 'digits' })).rejects.toMatchObject({
      code: 'ERR_INVALID_MODEL',
    });
    expect(written).toEqual({ stdout: '', stderr: '' });
  });
});

describe('runConfig', () => {
  it('shows what was set and by what, and with --resolved everything', async () => {
    const { context, written } = await createTestContext({ zone: 'attic' }, { json: true });
    await runConfig(context, {});
    expect(events(written.stdout)).toEqual([
      { event: 'setting', name: 'zone', value: 'attic', source: 'flag' },
    ]);
    await runConfig(context, { resolved: true });
    expect(events(written.stdout)).toContainEqual({
      event: 'setting',
      name: 'data',
      value: null,
      source: 'unset',
    });
  });

  it('tells people when nothing is set', async () => {
    const { context, written } = await createTestContext();
    await runConfig(context, {});
    expect(written.stdout).toBe('');
    expect(written.stderr).toContain('--resolved');
  });
});

describe('runNode', () => {
  it.each(['allowPublisher', 'allowCaller'])('refuses an id in %s that is none', async (key) => {
    const { context } = await createTestContext({ [key]: ['somebody'] });
    await expect(runNode(context)).rejects.toEqual(
      refusal(
        'ERR_CONFIG',
        /^--allow-\w+ has "somebody", expected a peer id such as 12D3KooW… or 'any'$/,
      ),
    );
  });
});

describe('runNode and runBootstrap', () => {
  it.each([
    ['node', runNode],
    ['bootstrap', runBootstrap],
  ] as const)('serve as a %s until they are told to end, and end well', async (role, run) => {
    await using folder = await createTestFolder();
    const ending = new AbortController();
    const { context, written } = await createTestContext(
      { data: folder.path, listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false, logLevel: 'silent' },
      { json: true, signal: ending.signal },
    );
    const running = run(context);
    await expect.poll(() => written.stdout, { timeout: 15_000 }).toContain('\n');
    ending.abort(new Interrupted('SIGTERM'));
    expect(await running).toBe(0);
    expect(events(written.stdout)).toEqual([
      expect.objectContaining({
        event: 'ready',
        role,
        id: expect.stringMatching(/^12D3KooW/),
        addresses: [expect.stringMatching(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/12D3KooW/)],
      }),
    ]);
  });
});
