import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { privateKeyToProtobuf } from '@libp2p/crypto/keys';
import { describe, expect, it } from 'vitest';
import { signRelease } from '../../../../protocols/release/index.ts';
import { formatDelegation } from '../../../../src/cli/delegation-file.ts';
import { openModelSigner } from '../../../../src/cli/release-signer.ts';
import { refusal } from '../../../support/refusal.ts';
import { createTestFolder } from '../../../support/test-folder.ts';
import {
  certificate,
  delegatedRecord,
  firstRecord,
  OTHER,
  otherKey,
  PUBLISHER,
  publisherKey,
} from '../../../vectors/release.ts';
import { createTestContext, events } from './command-host.ts';

/** A data folder whose default key is this one. */
async function createFolder(key = publisherKey) {
  const folder = await createTestFolder();
  await writeFile(path.join(folder.path, 'publisher.key'), privateKeyToProtobuf(key), {
    mode: 0o600,
  });
  return folder;
}

describe('openModelSigner', () => {
  it('is the publisher with its own key, by default, by petname and by file', async () => {
    await using folder = await createFolder();
    for (const key of [undefined, 'default', './publisher.key', 'publisher.key']) {
      const { context } = await createTestContext({ data: folder.path, key }, { cwd: folder.path });
      const { publisher, signer } = await openModelSigner(context, 'digits');
      expect(publisher).toBe(PUBLISHER);
      await expect(signRelease(firstRecord, signer.key)).resolves.toBeDefined();
    }
  });

  it('is a delegate of the publisher with its certificate', async () => {
    await using folder = await createFolder(otherKey);
    await writeFile(path.join(folder.path, 'd.json'), formatDelegation(certificate));
    const flags = { data: folder.path, delegation: 'd.json' };
    const { context } = await createTestContext(flags, { cwd: folder.path });
    const { publisher, signer } = await openModelSigner(context, 'digits');
    expect(publisher).toBe(PUBLISHER);
    expect(signer.certificate).toEqual(certificate);
    await expect(signRelease(delegatedRecord, signer.key)).resolves.toBeDefined();
    await expect(openModelSigner(context, 'letters')).rejects.toEqual(
      refusal(
        'ERR_CONFIG',
        `--delegation d.json lets ${OTHER} move 'digits', expected it for ${OTHER} (--key) and 'letters'`,
      ),
    );
  });

  it('refuses a certificate for another key, and files that are none', async () => {
    await using folder = await createFolder();
    const { context } = await createTestContext(
      { data: folder.path, delegation: 'd.json' },
      { cwd: folder.path },
    );
    await expect(openModelSigner(context, 'digits')).rejects.toEqual(
      refusal('ERR_NOT_FOUND', 'delegation file d.json does not exist'),
    );
    const file = path.join(folder.path, 'd.json');
    await writeFile(file, formatDelegation(certificate));
    await expect(openModelSigner(context, 'digits')).rejects.toMatchObject({ code: 'ERR_CONFIG' });
    for (const [text, code] of [
      ['certificate', 'ERR_INVALID_INPUT'],
      ['{"format":"gpu-swarm-key"}', 'ERR_INVALID_INPUT'],
      [formatDelegation(certificate.slice(0, -1)), 'ERR_INVALID_RECORD'],
    ] as const) {
      await writeFile(file, text);
      await expect(openModelSigner(context, 'digits')).rejects.toMatchObject({ code });
    }
    await writeFile(file, ' '.repeat(8193));
    await expect(openModelSigner(context, 'digits')).rejects.toMatchObject({ code: 'ERR_LIMIT' });
  });

  it('makes the default key only when told to, and then says so once', async () => {
    await using folder = await createTestFolder();
    const { context, written } = await createTestContext({ data: folder.path }, { json: true });
    await expect(openModelSigner(context, 'digits')).rejects.toEqual(
      refusal('ERR_NOT_FOUND', /^there is no key 'default'/),
    );
    const { publisher } = await openModelSigner(context, 'digits', { create: true });
    await openModelSigner(context, 'digits', { create: true });
    expect(events(written.stdout)).toEqual([
      { event: 'key', publisher, file: path.join(folder.path, 'publisher.key') },
    ]);
    const named = await createTestContext({ data: folder.path, key: 'team' });
    await expect(openModelSigner(named.context, 'digits', { create: true })).rejects.toEqual(
      refusal('ERR_NOT_FOUND', /^there is no key 'team'/),
    );
    const filed = await createTestContext(
      { data: folder.path, key: './team' },
      { cwd: folder.path },
    );
    await expect(openModelSigner(filed.context, 'digits')).rejects.toEqual(
      refusal('ERR_NOT_FOUND', /^key file .*team does not exist$/),
    );
  });

  it('refuses a malformed name before it looks for a key', async () => {
    const { context } = await createTestContext({ data: '/nowhere' });
    await expect(openModelSigner(context, 'alice/digits')).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', /^model name "alice\/digits" is not valid/),
    );
  });
});
