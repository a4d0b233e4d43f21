import type { PrivateKey } from '@libp2p/interface';
import { openEnvelope, signEnvelope } from '../codec/signed-envelope.ts';
import type { NodeId, OwnerId } from '../types.ts';

const DOMAIN = 'gpu-swarm:owner:1';
const MAX_BYTES = 512;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** States, signed by the owner's key, that a node is theirs. By default a node's own key is its owner's. */
export async function signOwnerCertificate(
  node: NodeId,
  ownerKey: PrivateKey,
): Promise<Uint8Array> {
  return signEnvelope(DOMAIN, encoder.encode(node), ownerKey);
}

/**
 * Who says that which node is theirs.
 *
 * @throws {ERR_LIMIT | ERR_INVALID_RECORD} when the certificate is malformed or its signature does not match.
 */
export async function openOwnerCertificate(
  bytes: Uint8Array,
): Promise<{ readonly owner: OwnerId; readonly node: NodeId }> {
  const { signer, payload } = await openEnvelope(DOMAIN, bytes, MAX_BYTES);
  return { owner: signer as OwnerId, node: decoder.decode(payload) as NodeId };
}
