import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { generateKeyPair, privateKeyToProtobuf } from '@libp2p/crypto/keys';
import { describe, expect, it } from 'vitest';
import { loadOrCreateKey, peerIdText } from '../../../../src/swarm/identity.ts';
import { refusal } from '../../../support/refusal.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const windows = process.platform === 'win32';

describe('loadOrCreateKey', () => {
  it('makes an Ed25519 key and its folder, and loads the same key from then on', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'data', 'node.key');
    const made = await loadOrCreateKey(file);
    expect(made.type).toBe('Ed25519');
    const loaded = await loadOrCreateKey(file);
    expect(peerIdText(loaded)).toBe(peerIdText(made));
    expect(peerIdText(made)).toMatch(/^12D3KooW/);
    expect(await readFile(file)).toHaveLength(68);
    expect(await readdir(path.dirname(file))).toEqual(['node.key']);
  });

  it('makes another key for another file', async () => {
    await using folder = await createTestFolder();
    const keys = ['a', 'b'].map((name) => loadOrCreateKey(path.join(folder.path, name)));
    const [a, b] = (await Promise.all(keys)).map((key) => peerIdText(key));
    expect(a).not.toBe(b);
  });

  it.skipIf(windows)(
    'writes a key that its owner alone can read, in a folder of the same kind',
    async () => {
      await using folder = await createTestFolder();
      const file = path.join(folder.path, 'data', 'node.key');
      await loadOrCreateKey(file);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      expect((await stat(path.dirname(file))).mode & 0o777).toBe(0o700);
    },
  );

  it.skipIf(windows)(
    'warns of a key that others can read, says what to run, and loads it',
    async () => {
      await using folder = await createTestFolder();
      const file = path.join(folder.path, 'node.key');
      const made = await loadOrCreateKey(file);
      const warnings: string[] = [];
      const onWarning = (message: string): number => warnings.push(message);
      await loadOrCreateKey(file, { onWarning });
      expect(warnings).toEqual([]);
      await chmod(file, 0o644);
      expect(peerIdText(await loadOrCreateKey(file, { onWarning }))).toBe(peerIdText(made));
      expect(warnings).toEqual([
        `key file ${file} can be read by other users (mode 644, expected 600): run chmod 600 ${file}`,
      ]);
    },
  );

  it.each([
    ['is empty', new Uint8Array()],
    ['was cut off', (bytes: Uint8Array) => bytes.subarray(0, 40)],
    ['holds zeros', new Uint8Array(68)],
    ['holds text', new TextEncoder().encode('-----BEGIN PRIVATE KEY-----')],
  ])('refuses with ERR_STORE a key file that %s, and leaves it as it is', async (_, content) => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'node.key');
    const key = privateKeyToProtobuf(await generateKeyPair('Ed25519'));
    const bytes = typeof content === 'function' ? content(key) : content;
    await writeFile(file, bytes, { mode: 0o600 });
    await expect(loadOrCreateKey(file)).rejects.toEqual(
      refusal(
        'ERR_STORE',
        /is damaged: its \d+ bytes are not an Ed25519 key\. Restore it from a backup/,
      ),
    );
    expect(new Uint8Array(await readFile(file))).toEqual(new Uint8Array(bytes));
  });

  it('refuses with ERR_STORE a key of another type', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'node.key');
    const key = await generateKeyPair('secp256k1');
    await writeFile(file, privateKeyToProtobuf(key), { mode: 0o600 });
    await expect(loadOrCreateKey(file)).rejects.toEqual(
      refusal('ERR_STORE', `key file ${file} holds a secp256k1 key, expected Ed25519`),
    );
  });

  it.each([
    [1_024, /is damaged: its 1024 bytes/],
    [1_025, /has 1025 bytes, expected a key of 68$/],
  ])('refuses with ERR_STORE a file of %i bytes', async (size, message) => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'node.key');
    await writeFile(file, new Uint8Array(size).fill(255), { mode: 0o600 });
    await expect(loadOrCreateKey(file)).rejects.toEqual(refusal('ERR_STORE', message));
  });

  it('refuses with ERR_STORE a folder in place of the file, and a file in place of the folder', async () => {
    await using folder = await createTestFolder();
    await mkdir(path.join(folder.path, 'node.key'));
    await expect(loadOrCreateKey(path.join(folder.path, 'node.key'))).rejects.toEqual(
      // How many bytes a folder has is up to the file system.
      refusal(
        'ERR_STORE',
        /node\.key (?:has \d+ bytes, expected a key of 68|cannot be read: EISDIR)$/,
      ),
    );
    await writeFile(path.join(folder.path, 'file'), '');
    await expect(loadOrCreateKey(path.join(folder.path, 'file', 'node.key'))).rejects.toEqual(
      refusal('ERR_STORE', /node\.key cannot be (?:read|written): E\w+$/),
    );
  });
});
