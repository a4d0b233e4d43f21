import { X509Certificate } from 'node:crypto';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { generateCertificate } from '@libp2p/tls/utils';
import { describe, expect, it } from 'vitest';
import { TlsCertificates } from '../../../../src/swarm/tls-certificate.ts';

const TEN_MINUTES = 600_000;

describe('TlsCertificates', () => {
  it('makes one certificate for ten minutes, then another', async () => {
    const privateKey = await generateKeyPair('Ed25519');
    let nowMs = 0;
    const certificates = new TlsCertificates({
      privateKey,
      generate: generateCertificate,
      nowMs: () => nowMs,
    });
    const [first, beside] = await Promise.all([certificates.current(), certificates.current()]);
    expect(beside).toBe(first);
    nowMs = TEN_MINUTES - 1;
    expect(await certificates.current()).toBe(first);
    nowMs = TEN_MINUTES;
    const second = await certificates.current();
    expect(second).not.toEqual(first);
    // What the ten minutes stay within.
    const { validTo } = new X509Certificate(second.cert);
    expect(Date.parse(validTo)).toBeGreaterThan(Date.now() + TEN_MINUTES);
  });

  it('tries again after a certificate could not be made', async () => {
    const privateKey = await generateKeyPair('Ed25519');
    let attempts = 0;
    const certificates = new TlsCertificates({
      privateKey,
      generate: async (key) => {
        attempts += 1;
        if (attempts === 1) throw new Error('no entropy');
        return generateCertificate(key);
      },
    });
    await expect(certificates.current()).rejects.toThrow('no entropy');
    expect((await certificates.current()).cert).toMatch(/^-----BEGIN CERTIFICATE-----/);
  });
});
