import * as dagCbor from '@ipld/dag-cbor';
import { generateKeyPair, generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { describe, expect, it } from 'vitest';
import { signEnvelope } from '../../../../protocols/codec/signed-envelope.ts';
import { MAX_RECEIPT_BYTES } from '../../../../protocols/limits.ts';
import {
  checkReceipt,
  createReceiptSigner,
  digestTensors,
  openReceipt,
  type Receipt,
} from '../../../../protocols/receipt/index.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import type { NodeId, VersionCid } from '../../../../protocols/types.ts';
import { brokenReceipts, receiptPayload } from '../../../vectors/receipt.ts';

const DOMAIN = 'gpu-swarm:receipt:1';
const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(7));
const node = peerIdFromPrivateKey(key).toString() as NodeId;
const signed: Omit<Receipt, 'node'> = {
  ...receiptPayload,
  version: receiptPayload.version as VersionCid,
};
const sign = createReceiptSigner(key);

describe('createReceiptSigner and openReceipt', () => {
  it('give back what was signed, and who signed it', async () => {
    const bytes = sign(signed);
    expect(await openReceipt(bytes)).toEqual({ bytes, receipt: { ...signed, node } });
  });

  it('write the payload of docs/protocols/receipt.md', () => {
    const [signer, payload] = dagCbor.decode<[string, Uint8Array]>(sign(signed));
    expect(signer).toBe(node);
    expect(dagCbor.decode(payload)).toEqual(receiptPayload);
  });

  it('sign as every other record is signed', async () => {
    expect(sign(signed)).toEqual(await signEnvelope(DOMAIN, dagCbor.encode(receiptPayload), key));
  });

  it('stay within the bound with the longest fields there may be', async () => {
    const bytes = sign({ ...signed, caller: 'a'.repeat(128), provider: 'p'.repeat(99) });
    expect(bytes.byteLength).toBeLessThanOrEqual(MAX_RECEIPT_BYTES);
    expect((await openReceipt(bytes)).receipt.provider).toBe('p'.repeat(32));
  });
});

describe('openReceipt', () => {
  it.each(brokenReceipts)('refuses $name', async ({ payload, names }) => {
    const bytes = await signEnvelope(DOMAIN, payload, key);
    await expect(openReceipt(bytes)).rejects.toThrow(names);
    await expect(openReceipt(bytes)).rejects.toMatchObject({ code: 'ERR_INVALID_RECORD' });
  });

  it('ignores a field of a later version', async () => {
    const payload = dagCbor.encode({ ...receiptPayload, energyJ: 3 });
    const opened = await openReceipt(await signEnvelope(DOMAIN, payload, key));
    expect(opened.receipt).toEqual({ ...signed, node });
  });

  it('refuses one that was altered after it was signed', async () => {
    const bytes = sign(signed);
    const at = Buffer.from(bytes).indexOf('cuda');
    bytes[at] = 0x43;
    await expect(openReceipt(bytes)).rejects.toThrow(`signature that is not by ${node}`);
  });

  it('refuses another kind of record with the same payload', async () => {
    const bytes = await signEnvelope('gpu-swarm:outcome:1', dagCbor.encode(receiptPayload), key);
    await expect(openReceipt(bytes)).rejects.toMatchObject({ code: 'ERR_INVALID_RECORD' });
  });

  it('refuses one at every cut', async () => {
    const bytes = sign(signed);
    for (let length = 0; length < bytes.byteLength; length += 1) {
      await expect(openReceipt(bytes.subarray(0, length)), `${length} bytes`).rejects.toMatchObject(
        { code: 'ERR_INVALID_RECORD' },
      );
    }
  });

  it('refuses one byte more than the bound before it reads any', async () => {
    await expect(openReceipt(new Uint8Array(MAX_RECEIPT_BYTES + 1))).rejects.toMatchObject({
      code: 'ERR_LIMIT',
    });
  });
});

describe('checkReceipt', () => {
  const x = { name: 'x', tensor: Tensor.from('FP32', [2], [1, 2]) };
  const y = { name: 'y', tensor: Tensor.from('FP32', [2], [3, 4]) };

  async function receiptOf(): Promise<Receipt> {
    const digests = { inputs: await digestTensors([x]), outputs: await digestTensors([y]) };
    return (await openReceipt(sign({ ...signed, ...digests }))).receipt;
  }

  it('takes a receipt that says what is known of the call', async () => {
    const { nonce, caller, version } = signed;
    await checkReceipt(await receiptOf(), {
      ...{ node, nonce, caller, version },
      inputs: [x],
      outputs: [y],
    });
  });

  it('compares nothing that is not known', async () => {
    await checkReceipt(await receiptOf(), {});
  });

  it.each([
    ['node', { node: signed.caller as NodeId }, /of node 12D3KooW\w+, expected node 12D3KooWDpJ7/],
    ['caller', { caller: node }, /receipt is of caller 12D3KooWDpJ7/],
    ['version', { version: 'bafy' as VersionCid }, /of version bafyrei\w+, expected version bafy/],
    ['nonce', { nonce: new Uint8Array(16) }, /nonce 0001\w+, expected 0000/],
    ['inputs', { inputs: [y] }, /of inputs with digest/],
    ['outputs', { outputs: [x] }, /of outputs with digest/],
    ['renamed outputs', { outputs: [{ ...y, name: 'z' }] }, /of outputs with digest/],
  ])('refuses a receipt of another %s', async (_, claim, message) => {
    const refused = checkReceipt(await receiptOf(), claim);
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.toMatchObject({ code: 'ERR_INVALID_RECORD' });
  });

  it('refuses a receipt that another node signed', async () => {
    const other = await generateKeyPair('Ed25519');
    const { receipt } = await openReceipt(createReceiptSigner(other)(signed));
    await expect(checkReceipt(receipt, { node })).rejects.toThrow(`expected node ${node}`);
  });
});
