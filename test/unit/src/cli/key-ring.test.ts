import { stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { describe, expect, it } from 'vitest';
import { DEFAULT_KEY, KeyRing } from '../../../../src/cli/key-ring.ts';
import { peerIdText } from '../../../../src/swarm/identity.ts';
import { refusal } from '../../../support/refusal.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

describe('KeyRing', () => {
  it('keeps keys by petname, the default one first and where it always was', async () => {
    await using folder = await createTestFolder();
    const ring = new KeyRing(folder.path);
    expect(await ring.list()).toEqual([]);
    const [team, first] = [await generateKeyPair('Ed25519'), await generateKeyPair('Ed25519')];
    await ring.add('team', team);
    await ring.add(DEFAULT_KEY, first);
    const listed = await new KeyRing(folder.path).list();
    expect(listed.map(({ petname, id, file }) => [petname, id, file])).toEqual([
      ['default', peerIdText(first), path.join(folder.path, 'publisher.key')],
      ['team', peerIdText(team), path.join(folder.path, 'keys', 'team.key')],
    ]);
  });

  it.skipIf(process.platform === 'win32')(
    'makes files that their owner alone can read (Windows has no such modes)',
    async () => {
      await using folder = await createTestFolder();
      const { file } = await new KeyRing(folder.path).add('team', await generateKeyPair('Ed25519'));
      expect((await stat(file)).mode & 0o777).toBe(0o600);
    },
  );

  it('refuses a petname that is taken, a key that is there, and a name that is none', async () => {
    await using folder = await createTestFolder();
    const ring = new KeyRing(folder.path);
    const key = await generateKeyPair('Ed25519');
    await ring.add('team', key);
    await expect(ring.add('team', await generateKeyPair('Ed25519'))).rejects.toEqual(
      refusal(
        'ERR_INVALID_INPUT',
        /^petname 'team' is taken by the key in .*team\.key, which is never/,
      ),
    );
    await expect(ring.add('other', key)).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', /is there already, as 'team'$/),
    );
    for (const name of ['../team', 'Team', '', 'a'.repeat(33), 'team.key']) {
      await expect(ring.find(name)).rejects.toEqual(
        refusal('ERR_INVALID_INPUT', /^petname .* is not valid, expected 1 to 32 of/),
      );
    }
    await expect(ring.find('a'.repeat(32))).resolves.toBeUndefined();
  });

  it('says how to make a key that is missing, and never replaces one that is damaged', async () => {
    await using folder = await createTestFolder();
    const ring = new KeyRing(folder.path);
    await expect(ring.get('ci')).rejects.toEqual(
      refusal('ERR_NOT_FOUND', /^there is no key 'ci' .*: make it with `swarm keys create ci`/),
    );
    await writeFile(ring.fileOf(DEFAULT_KEY), 'damaged');
    await expect(ring.list()).rejects.toEqual(refusal('ERR_STORE', /is damaged/));
    await expect(ring.add(DEFAULT_KEY, await generateKeyPair('Ed25519'))).rejects.toMatchObject({
      code: 'ERR_STORE',
    });
  });
});
