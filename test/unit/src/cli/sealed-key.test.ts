import { generateKeyPair } from '@libp2p/crypto/keys';
import { describe, expect, it } from 'vitest';
import { openSealedKey, sealKey } from '../../../../src/cli/sealed-key.ts';
import { peerIdText } from '../../../../src/swarm/identity.ts';
import { refusal } from '../../../support/refusal.ts';

const PASSPHRASE = 'correct horse battery';
const key = await generateKeyPair('Ed25519');
const sealed = await sealKey(key, PASSPHRASE);

/** The sealed key with one field changed. */
function changed(change: (text: Record<string, unknown>) => void): string {
  const text = JSON.parse(sealed) as Record<string, unknown>;
  change(text);
  return JSON.stringify(text);
}

describe('sealKey and openSealedKey', () => {
  it('give the key back, and show whose it is but not what it is', async () => {
    expect((await openSealedKey(sealed, PASSPHRASE)).raw).toEqual(key.raw);
    expect(JSON.parse(sealed)).toMatchObject({
      format: 'gpu-swarm-key',
      version: 1,
      publisher: peerIdText(key),
    });
    expect(sealed).not.toContain(Buffer.from(key.raw).toString('base64').slice(0, 20));
  });

  it('never seal one key as the same text twice', async () => {
    expect(await sealKey(key, PASSPHRASE)).not.toBe(sealed);
  });

  it('take a passphrase as it is meant, however a keyboard composes it', async () => {
    const text = await sealKey(key, 'caf\u00e9 noir');
    expect((await openSealedKey(text, 'cafe\u0301 noir')).raw).toEqual(key.raw);
  });

  it('refuse another passphrase and any change of the text', async () => {
    const other = peerIdText(await generateKeyPair('Ed25519'));
    const texts = [
      [sealed, 'correct horse batterz'],
      [changed((text) => (text['publisher'] = other)), PASSPHRASE],
      [
        changed((text) => {
          const bytes = Buffer.from(String(text['key']), 'base64');
          bytes[0] = (bytes[0] ?? 0) ^ 1;
          text['key'] = bytes.toString('base64');
        }),
        PASSPHRASE,
      ],
    ] as const;
    for (const [text, passphrase] of texts) {
      await expect(openSealedKey(text, passphrase)).rejects.toEqual(
        refusal(
          'ERR_INVALID_INPUT',
          /does not open: the passphrase is another, or the text was changed/,
        ),
      );
    }
  });

  it.each([
    ['no JSON', 'sealed', /^sealed key is not JSON$/],
    ['another version', changed((text) => (text['version'] = 2)), /field 'version'/],
    ['an unknown field', changed((text) => (text['hint'] = 'horse')), /wrong field/],
    [
      'a cost that would take all memory',
      changed((text) => ((text['kdf'] as Record<string, unknown>)['n'] = 2 ** 30)),
      /field 'kdf\.n'/,
    ],
    [
      'a short nonce',
      changed((text) => ((text['cipher'] as Record<string, unknown>)['nonce'] = 'AAAA')),
      /field 'cipher\.nonce'/,
    ],
  ])('refuse %s before anything is derived', async (_, text, message) => {
    await expect(openSealedKey(text, PASSPHRASE)).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', message),
    );
  });

  it('refuse a passphrase of seven characters and take one of eight', async () => {
    await expect(sealKey(key, '1234567')).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', 'passphrase has 7 characters, expected at least 8'),
    );
    await expect(sealKey(key, '12345678')).resolves.toContain('gpu-swarm-key');
  });
});
