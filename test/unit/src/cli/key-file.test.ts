import { chmod, stat } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openKey } from '../../../../src/cli/key-file.ts';
import { createTestFolder } from '../../../support/test-folder.ts';
import { createTestContext } from './command-host.ts';

describe('openKey', () => {
  it('makes a key that its owner alone can read, says so once, and finds it again', async () => {
    await using folder = await createTestFolder();
    const { context } = await createTestContext({}, { cwd: folder.path });
    const first = await openKey(context, 'keys/publisher.key');
    expect(first).toMatchObject({ made: true, file: path.join(folder.path, 'keys/publisher.key') });
    expect((await stat(first.file)).mode & 0o777).toBe(0o600);
    expect(await openKey(context, 'keys/publisher.key')).toMatchObject({
      made: false,
      id: first.id,
    });
  });

  it('warns on stderr when others can read the key', async () => {
    await using folder = await createTestFolder();
    const { context, written } = await createTestContext({}, { cwd: folder.path });
    const { file } = await openKey(context, 'node.key');
    await chmod(file, 0o644);
    await openKey(context, 'node.key');
    expect(written.stderr).toContain(`warning: key file ${file} can be read by other users`);
    expect(written.stdout).toBe('');
  });
});
