import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { ReceiptDesk } from '../../node/receipt-desk.ts';
import { digestTensors } from '../../protocols/receipt/index.ts';
import type { NodeId } from '../../protocols/types.ts';
import { createReceiptNonce, openAnswerReceipt } from '../../src/client/answer-receipt.ts';
import { expectedReply, floats, VERSION } from '../rpc/service.ts';

/** Microseconds of each part on an otherwise idle process, one after the other. */
export interface Alone {
  /** Both digests and the signature: all that a node does for a receipt. */
  readonly signUs: number;
  /** Signature, form and both digests: all that a client does with one. */
  readonly checkUs: number;
  /** One digest of the inputs, which is in both of the above. */
  readonly digestUs: number;
}

/** Signs and checks receipts of one answer again and again, for a third of the time each. */
export async function measureAlone(payload: Buffer, seconds: number): Promise<Alone> {
  const key = await generateKeyPair('Ed25519');
  const node = peerIdFromPrivateKey(key).toString() as NodeId;
  const caller = peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString();
  const desk = new ReceiptDesk(key);
  const inputs = [{ name: 'x', tensor: floats(payload) }];
  const outputs = [{ name: 'y', tensor: floats(expectedReply('executor', payload)) }];
  const receiptNonce = createReceiptNonce();
  const load = { inFlight: 0, queued: 0, slots: 1, serviceMs: null };
  const result = { outputs, queueMs: 0, executeMs: 0.123, load, releaseSequence: 1 };
  const header = {
    ...{ version: VERSION, deadlineMs: 1000, priority: 0, traceparent: '', outputs: [] },
    ...{ responseCredit: 0, inputs: [], receiptNonce },
  };
  const sign = async (): Promise<Uint8Array | undefined> => {
    const answer = desk.open(header, { caller, provider: 'cpu' });
    return (await answer?.(inputs, Promise.resolve(result)))?.receipt;
  };
  const receipt = await sign();
  const request = { version: VERSION, inputs, receiptNonce };
  const share = seconds / 3;
  return {
    signUs: await microseconds(sign, share),
    checkUs: await microseconds(
      () => openAnswerReceipt(request, { outputs, receipt }, { node, caller }),
      share,
    ),
    digestUs: await microseconds(() => digestTensors(inputs), share),
  };
}

/** The median of one after the other, the first ones left out: V8 compiles what is hot. */
async function microseconds(act: () => Promise<unknown>, seconds: number): Promise<number> {
  const warmUntil = performance.now() + seconds * 250;
  while (performance.now() < warmUntil) await act();
  const took: number[] = [];
  const end = performance.now() + seconds * 750;
  for (let at = performance.now(); at < end; ) {
    await act();
    const now = performance.now();
    took.push((now - at) * 1000);
    at = now;
  }
  return Float64Array.from(took).sort()[took.length >> 1] ?? Number.NaN;
}
