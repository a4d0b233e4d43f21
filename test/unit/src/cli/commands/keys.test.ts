import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { runKeysExport, runKeysImport } from '../../../../../src/cli/commands/key-transfer.ts';
import {
  runKeysCreate,
  runKeysForget,
  runKeysList,
  runKeysShow,
  runKeysTrust,
} from '../../../../../src/cli/commands/keys.ts';
import { refusal } from '../../../../support/refusal.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';
import { OTHER, PUBLISHER } from '../../../../vectors/release.ts';
import { createTestContext, events } from '../command-host.ts';

const PASSPHRASE = 'correct horse battery';

/** A context on a data folder of its own, and what the last command wrote as events. */
async function createPublisher(data: string, flags: Record<string, unknown> = {}) {
  const { context, written } = await createTestContext(
    { data, ...flags },
    { json: true, cwd: data, stdin: [PASSPHRASE, '\n'] },
  );
  return { context, last: () => events(written.stdout).at(-1), written };
}

describe('swarm keys', () => {
  it('makes keys and lists them with the publishers that have a petname', async () => {
    await using folder = await createTestFolder();
    const { context, written } = await createPublisher(folder.path, {
      key: 'work',
      publishers: [`bob=${OTHER}`],
    });
    await runKeysCreate(context, { petname: 'default' });
    await runKeysCreate(context, { petname: 'work' });
    await runKeysTrust(context, { petname: 'alice', id: PUBLISHER });
    written.stdout = '';
    await runKeysList(context);
    expect(events(written.stdout).map(({ petname, from, used }) => [petname, from, used])).toEqual([
      ['alice', 'trusted', false],
      ['bob', 'setting', false],
      ['default', 'key', false],
      ['work', 'key', true],
    ]);
    await runKeysForget(context, { petname: 'alice' });
    await runKeysShow(context, { petname: 'work' });
    expect(events(written.stdout).at(-1)).toMatchObject({
      event: 'key',
      petname: 'work',
      file: path.join(folder.path, 'keys', 'work.key'),
    });
  });

  it('shows no byte of a key', async () => {
    await using folder = await createTestFolder();
    const { context, written } = await createTestContext({ data: folder.path });
    await runKeysCreate(context, { petname: 'default' });
    await runKeysShow(context, { petname: 'default' });
    await runKeysList(context);
    const key = await readFile(path.join(folder.path, 'publisher.key'));
    for (const encoding of ['hex', 'base64'] as const) {
      expect(written.stdout + written.stderr).not.toContain(key.subarray(4, 20).toString(encoding));
    }
  });

  it('does not let one petname mean a key and another publisher', async () => {
    await using folder = await createTestFolder();
    const { context } = await createPublisher(folder.path);
    await runKeysCreate(context, { petname: 'alice' });
    await expect(runKeysTrust(context, { petname: 'alice', id: OTHER })).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', /^petname 'alice' is that of your own key/),
    );
    await runKeysTrust(context, { petname: 'bob', id: OTHER });
    await expect(runKeysCreate(context, { petname: 'bob' })).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', `petname 'bob' is that of ${OTHER} (trusted)`),
    );
  });
});

describe('swarm keys export and import', () => {
  it('carry a key to another data folder, the passphrase from a file or from standard input', async () => {
    await using from = await createTestFolder();
    await using to = await createTestFolder();
    const { context, last } = await createPublisher(from.path);
    await runKeysCreate(context, { petname: 'default' });
    const made = last();
    await writeFile(path.join(from.path, 'passphrase'), `${PASSPHRASE}\n`);
    const sealed = path.join(from.path, 'key.sealed');
    await runKeysExport(context, {
      ...{ petname: 'default', out: 'key.sealed', passphraseFile: 'passphrase' },
    });
    expect(last()).toMatchObject({ event: 'exported', file: sealed });
    if (process.platform !== 'win32') expect((await stat(sealed)).mode & 0o777).toBe(0o600);
    const other = await createPublisher(to.path);
    await runKeysImport(other.context, { petname: 'work', file: sealed, passphraseFile: '-' });
    expect(other.last()).toMatchObject({ petname: 'work', publisher: made?.['publisher'] });
  });

  it('writes the sealed key to standard output without --out', async () => {
    await using folder = await createTestFolder();
    const { context, written } = await createPublisher(folder.path);
    await runKeysCreate(context, { petname: 'default' });
    written.stdout = '';
    await runKeysExport(context, { petname: 'default', passphraseFile: '-' });
    expect(JSON.parse(written.stdout)).toMatchObject({ format: 'gpu-swarm-key', version: 1 });
  });

  it('replaces no file and no key, and needs a passphrase that is there', async () => {
    await using folder = await createTestFolder();
    const { context } = await createPublisher(folder.path);
    await runKeysCreate(context, { petname: 'default' });
    await writeFile(path.join(folder.path, 'there'), 'mine');
    const options = { petname: 'default', passphraseFile: '-' };
    await expect(runKeysExport(context, { ...options, out: 'there' })).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', /there is there already, expected the name of a new one$/),
    );
    expect(await readFile(path.join(folder.path, 'there'), 'utf8')).toBe('mine');
    await runKeysExport(context, { ...options, out: 'key.sealed' });
    await expect(
      runKeysImport(context, { petname: 'again', file: 'key.sealed', passphraseFile: '-' }),
    ).rejects.toEqual(refusal('ERR_INVALID_INPUT', /is there already, as 'default'$/));
    await expect(
      runKeysExport(context, { petname: 'default', passphraseFile: 'gone' }),
    ).rejects.toEqual(refusal('ERR_NOT_FOUND', 'passphrase file gone does not exist'));
    await writeFile(path.join(folder.path, 'long'), 'x'.repeat(1025));
    await expect(
      runKeysExport(context, { petname: 'default', passphraseFile: 'long' }),
    ).rejects.toMatchObject({ code: 'ERR_LIMIT' });
  });
});
