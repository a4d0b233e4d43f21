import { X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { generateCertificate } from '@libp2p/tls/utils';
import type { TlsInit } from '../../src/gateway/access/tls-files.ts';

/** A certificate that nobody trusts, in the two files that a server reads. */
export interface TestCertificate {
  /** SHA-256, as Node tells it of a peer. */
  readonly fingerprint: string;
}

/** Where {@link writeCertificate} puts them. */
export function certificateFiles(folder: string): TlsInit {
  return { certFile: path.join(folder, 'cert.pem'), keyFile: path.join(folder, 'key.pem') };
}

/** Writes a new certificate over the files. */
export async function writeCertificate({ certFile, keyFile }: TlsInit): Promise<TestCertificate> {
  const { cert, key } = await generateCertificate(await generateKeyPair('Ed25519'));
  await writeFile(certFile, cert);
  await writeFile(keyFile, key);
  return { fingerprint: new X509Certificate(cert).fingerprint256 };
}
