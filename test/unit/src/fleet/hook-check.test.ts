import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkProvisionHook } from '../../../../src/fleet/hook-check.ts';
import { refusal } from '../../../support/refusal.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

describe('checkProvisionHook', () => {
  it.each([undefined, 'http://127.0.0.1:1/hook', 'HTTPS://cloud.example.org/nodes'])(
    'takes %s, whoever listens there',
    async (hook) => {
      await expect(checkProvisionHook(hook)).resolves.toBeUndefined();
    },
  );

  it.each(['http:', 'https://', 'http://a b/'])('refuses %s, which is no address', async (hook) => {
    await expect(checkProvisionHook(hook)).rejects.toEqual(
      refusal(
        'ERR_CONFIG',
        `--provision '${hook}' is no address, expected an http(s) address or a program that can be run`,
      ),
    );
  });

  it.skipIf(process.platform === 'win32')(
    'takes a program by its path and by its name in PATH, once it may be run',
    async () => {
      await using folder = await createTestFolder();
      const file = path.join(folder.path, 'more-machines');
      const environment = { PATH: `/nowhere${path.delimiter}${folder.path}` };
      for (const hook of [file, 'more-machines']) {
        await expect(checkProvisionHook(hook, environment)).rejects.toEqual(
          refusal('ERR_CONFIG', /^--provision '.*more-machines' does not exist, expected/),
        );
      }
      await writeFile(file, '#!/bin/sh\n');
      await chmod(file, 0o644);
      for (const hook of [file, 'more-machines']) {
        await expect(checkProvisionHook(hook, environment)).rejects.toEqual(
          refusal('ERR_CONFIG', /^--provision '.*more-machines' may not be executed, expected/),
        );
      }
      await chmod(file, 0o755);
      for (const hook of [file, 'more-machines']) {
        await expect(checkProvisionHook(hook, environment)).resolves.toBeUndefined();
      }
    },
  );

  it('refuses a folder', async () => {
    await using folder = await createTestFolder();
    await mkdir(path.join(folder.path, 'hook'));
    await expect(checkProvisionHook(path.join(folder.path, 'hook'))).rejects.toEqual(
      refusal('ERR_CONFIG', /hook' is no file, expected/),
    );
  });
});
