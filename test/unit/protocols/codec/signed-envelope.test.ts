import * as dagCbor from '@ipld/dag-cbor';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  openEnvelope,
  type SignatureDomain,
  signEnvelope,
  signedBytes,
} from '../../../../protocols/codec/signed-envelope.ts';
import { refusal } from '../../../support/refusal.ts';
import { NODE, nodeKey, STRANGER } from '../../../vectors/capacity.ts';

const DOMAIN: SignatureDomain = 'gpu-swarm:test:1';
const PAYLOAD = Buffer.from('payload');

const open = (bytes: Uint8Array) => openEnvelope(DOMAIN, bytes, 1024);

describe('openEnvelope', () => {
  it('gives back what was signed, and by whom', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 500 }), async (payload) => {
        const bytes = await signEnvelope(DOMAIN, payload, nodeKey);
        expect(await open(bytes)).toEqual({ signer: NODE, payload });
        expect(signedBytes(NODE, payload)).toBe(bytes.byteLength);
      }),
      { numRuns: 30 },
    );
  });

  it('takes as many bytes as it may and refuses one more', async () => {
    const bytes = await signEnvelope(DOMAIN, PAYLOAD, nodeKey);
    await expect(openEnvelope(DOMAIN, bytes, bytes.byteLength)).resolves.toBeDefined();
    await expect(openEnvelope(DOMAIN, bytes, bytes.byteLength - 1)).rejects.toEqual(
      refusal(
        'ERR_LIMIT',
        `${DOMAIN} record has ${bytes.byteLength} bytes, expected at most ${bytes.byteLength - 1}`,
      ),
    );
  });

  it('does not take a signature of one domain for another’s', async () => {
    const bytes = await signEnvelope('gpu-swarm:tes:1', PAYLOAD, nodeKey);
    await expect(open(bytes)).rejects.toThrow('signature that is not by');
  });

  it('does not let payload and domain be shifted against each other', async () => {
    const bytes = await signEnvelope('gpu-swarm:a:1', Buffer.from('b\0c'), nodeKey);
    const [signer, , signature] = dagCbor.decode<[string, Uint8Array, Uint8Array]>(bytes);
    const shifted = dagCbor.encode([signer, Buffer.from('c'), signature]);
    await expect(openEnvelope('gpu-swarm:a:1', shifted, 1024)).rejects.toThrow('signature');
  });

  it('does not take another’s name on a signature', async () => {
    const bytes = await signEnvelope(DOMAIN, PAYLOAD, nodeKey);
    const [, payload, signature] = dagCbor.decode<[string, Uint8Array, Uint8Array]>(bytes);
    await expect(open(dagCbor.encode([STRANGER, payload, signature]))).rejects.toEqual(
      refusal('ERR_INVALID_RECORD', `${DOMAIN} record has a signature that is not by ${STRANGER}`),
    );
  });

  const signature = new Uint8Array(64);

  it.each<[what: string, bytes: Uint8Array, message: string]>([
    ['no dag-cbor', Uint8Array.of(0xff), 'record is not dag-cbor'],
    ['a list of four', dagCbor.encode([NODE, PAYLOAD, signature, 1]), 'record has a wrong form'],
    ['a payload of text', dagCbor.encode([NODE, 'payload', signature]), 'record has a wrong form'],
    ['a signer of bytes', dagCbor.encode([PAYLOAD, PAYLOAD, signature]), 'record has a wrong form'],
    ['no peer id', dagCbor.encode(['x', PAYLOAD, signature]), 'names a signer that is no peer id'],
    [
      'a short signature',
      dagCbor.encode([NODE, PAYLOAD, new Uint8Array(63)]),
      'has a signature of 63 bytes, expected 64',
    ],
    [
      'another text of the signer’s key',
      dagCbor.encode([peerIdFromPrivateKey(nodeKey).toCID().toString(), PAYLOAD, signature]),
      `names its signer ${NODE} in an unusual form`,
    ],
  ])('refuses %s', async (_what, bytes, message) => {
    await expect(open(bytes)).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
      message: expect.stringContaining(message),
    });
  });

  it.each(['RSA', 'secp256k1'] as const)('refuses the signer of an %s key', async (type) => {
    const key = type === 'RSA' ? await generateKeyPair('RSA', 2048) : await generateKeyPair(type);
    await expect(open(await signEnvelope(DOMAIN, PAYLOAD, key))).rejects.toEqual(
      refusal('ERR_INVALID_RECORD', `${DOMAIN} record names a signer that is no Ed25519 peer id`),
    );
  });
});
