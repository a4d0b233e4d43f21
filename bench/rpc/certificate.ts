import { generateKeyPair } from '@libp2p/crypto/keys';
import { generateCertificate } from '@libp2p/tls/utils';

/** A self-signed P-256 certificate and its key, in PEM: the kind that libp2p makes for its own TLS. */
export async function createCertificate(): Promise<{ cert: string; key: string }> {
  return generateCertificate(await generateKeyPair('Ed25519'));
}

/**
 * How a client connects: libp2p's certificates carry a critical extension that OpenSSL alone cannot verify. Verifying would
 * cost once a connection, and these are kept.
 */
export const UNVERIFIED = { rejectUnauthorized: false };

/** Any host name: an IP address is not allowed in its place. */
export const SERVER_NAME = 'localhost';
