import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { describe, expect, it } from 'vitest';
import { ReceiptDesk } from '../../../node/receipt-desk.ts';
import type { RequestHeader } from '../../../protocols/inference/index.ts';
import { checkReceipt, openReceipt } from '../../../protocols/receipt/index.ts';
import type { NodeId } from '../../../protocols/types.ts';
import { requestOf, resultOf, VERSION } from '../../support/inference-peers.ts';

const key = await generateKeyPair('Ed25519');
const node = peerIdFromPrivateKey(key).toString() as NodeId;
const from = { caller: 'caller', provider: 'cpu' };

function header(receiptNonce?: Uint8Array): RequestHeader {
  return { ...requestOf(0), inputs: [], responseCredit: 0, receiptNonce };
}

describe('ReceiptDesk', () => {
  it('signs what went in and what came out', async () => {
    const beforeMs = Date.now();
    const nonce = new Uint8Array(16).fill(9);
    const add = new ReceiptDesk(key).open(header(nonce), from);
    const { inputs } = requestOf(300_000);
    const outputs = requestOf(12).inputs;
    const result = resultOf(outputs);
    const answered = await add?.(inputs, Promise.resolve(result));
    expect(answered).toMatchObject(result);
    const { receipt } = await openReceipt(answered?.receipt ?? new Uint8Array());
    await checkReceipt(receipt, { ...from, node, nonce, version: VERSION, inputs, outputs });
    expect(receipt).toMatchObject({ provider: 'cpu', executeMs: result.executeMs });
    expect(receipt.receivedAtMs).toBeGreaterThanOrEqual(beforeMs);
    expect(receipt.answeredAtMs).toBeGreaterThanOrEqual(receipt.receivedAtMs);
    expect(receipt.answeredAtMs).toBeLessThanOrEqual(Date.now());
  });

  it('has nothing to do for a request that asks for none', () => {
    expect(new ReceiptDesk(key).open(header(), from)).toBeUndefined();
  });

  it('signs nothing for an execution that fails', async () => {
    const add = new ReceiptDesk(key).open(header(new Uint8Array(16)), from);
    const failed = Promise.reject(new Error('the model failed'));
    await expect(add?.([], failed)).rejects.toThrow('the model failed');
  });
});
