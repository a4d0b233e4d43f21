import { createPrivateKey, X509Certificate } from 'node:crypto';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { verifyPeerCertificate } from '@libp2p/tls/utils';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createCertificate, PeerCertificate } from '../../../../src/swarm/tls-certificate.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('createCertificate', () => {
  it.each(['Ed25519', 'secp256k1', 'RSA'] as const)(
    'makes one that libp2p takes for that of a peer with a key of %s, and for no other',
    async (type) => {
      const privateKey = await generateKeyPair(type);
      const { raw } = new X509Certificate((await createCertificate(privateKey)).cert);
      const peer = peerIdFromPrivateKey(privateKey);
      expect((await verifyPeerCertificate(raw, peer)).equals(peer)).toBe(true);
      const stranger = peerIdFromPrivateKey(await generateKeyPair('Ed25519'));
      await expect(verifyPeerCertificate(raw, stranger)).rejects.toThrow('Unexpected Peer');
    },
  );

  it('makes one with a key of its own each time', async () => {
    const privateKey = await generateKeyPair('Ed25519');
    const [first, second] = await Promise.all([
      createCertificate(privateKey),
      createCertificate(privateKey),
    ]);
    expect(second.key).not.toBe(first.key);
    const [a, b] = [new X509Certificate(first.cert), new X509Certificate(second.cert)];
    expect(a.serialNumber).not.toBe(b.serialNumber);
    expect(a.checkPrivateKey(createPrivateKey(first.key))).toBe(true);
    expect(a.checkPrivateKey(createPrivateKey(second.key))).toBe(false);
  });

  it.each(['1970-01-01T00:00:01Z', '2026-11-27T00:00:00Z', '2099-12-31T00:00:00Z'])(
    'makes one that is valid by a clock at %s, wherever its own clock was',
    async (time) => {
      const privateKey = await generateKeyPair('Ed25519');
      const { raw } = new X509Certificate((await createCertificate(privateKey)).cert);
      vi.useFakeTimers({ toFake: ['Date'], now: new Date(time) });
      await expect(verifyPeerCertificate(raw)).resolves.toBeDefined();
    },
  );
});

describe('PeerCertificate', () => {
  it('makes one certificate for whoever asks', async () => {
    const certificate = new PeerCertificate(await generateKeyPair('Ed25519'));
    const [first, beside] = await Promise.all([certificate.get(), certificate.get()]);
    expect(beside).toBe(first);
    expect(await certificate.get()).toBe(first);
  });

  it('tries again after a certificate could not be made', async () => {
    let attempts = 0;
    const certificate = new PeerCertificate(await generateKeyPair('Ed25519'), async (key) => {
      attempts += 1;
      if (attempts === 1) throw new Error('no entropy');
      return createCertificate(key);
    });
    await expect(certificate.get()).rejects.toThrow('no entropy');
    expect((await certificate.get()).cert).toMatch(/^-----BEGIN CERTIFICATE-----/);
  });
});
