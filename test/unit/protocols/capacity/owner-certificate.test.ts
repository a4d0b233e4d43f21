import { describe, expect, it } from 'vitest';
import {
  openOwnerCertificate,
  signOwnerCertificate,
} from '../../../../protocols/capacity/index.ts';
import { signEnvelope } from '../../../../protocols/codec/signed-envelope.ts';
import { refusal } from '../../../support/refusal.ts';
import { NODE, nodeKey, OWNER, ownerKey } from '../../../vectors/capacity.ts';

describe('openOwnerCertificate', () => {
  it('tells who says that which node is theirs', async () => {
    const certificate = await signOwnerCertificate(NODE, ownerKey);
    expect(await openOwnerCertificate(certificate)).toEqual({ owner: OWNER, node: NODE });
  });

  it('lets a node own itself', async () => {
    const certificate = await signOwnerCertificate(NODE, nodeKey);
    expect(await openOwnerCertificate(certificate)).toEqual({ owner: NODE, node: NODE });
  });

  it('refuses a certificate whose node was exchanged', async () => {
    const certificate = await signOwnerCertificate(NODE, ownerKey);
    const text = Buffer.from(certificate);
    const at = text.indexOf(NODE);
    text[at + 20] = (text[at + 20] ?? 0) ^ 1;
    await expect(openOwnerCertificate(text)).rejects.toEqual(
      refusal(
        'ERR_INVALID_RECORD',
        `gpu-swarm:owner:1 record has a signature that is not by ${OWNER}`,
      ),
    );
  });

  it('takes a certificate of 512 bytes and refuses one more', async () => {
    const sized = async (bytes: number): Promise<Uint8Array> => {
      const plain = await signEnvelope('gpu-swarm:owner:1', new Uint8Array(300), ownerKey);
      const payload = new Uint8Array(300 + bytes - plain.byteLength);
      return signEnvelope('gpu-swarm:owner:1', payload, ownerKey);
    };
    expect(await openOwnerCertificate(await sized(512))).toMatchObject({ owner: OWNER });
    await expect(openOwnerCertificate(await sized(513))).rejects.toEqual(
      refusal('ERR_LIMIT', 'gpu-swarm:owner:1 record has 513 bytes, expected at most 512'),
    );
  });
});
