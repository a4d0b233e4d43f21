import { generateKeyPair } from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { describe, expect, it } from 'vitest';
import type {
  Admission,
  InferenceHandler,
  RequestHeader,
} from '../../protocols/inference/index.ts';
import { createReceiptSigner, digestTensors, type Receipt } from '../../protocols/receipt/index.ts';
import { Tensor } from '../../protocols/tensor.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { CallClock } from '../../src/client/call-clock.ts';
import { SingleInputs } from '../../src/client/call-inputs.ts';
import { resolveInferOptions } from '../../src/client/infer-options.ts';
import type { InferResult } from '../../src/client/infer-result.ts';
import { IDLE } from '../support/announced-peer.ts';
import { REF, StandInNodes } from '../support/stand-in-nodes.ts';

const OTHER = 'bafyreiaysi4s6lnjev27ln5icwm6tueaw2vdykrtjkwiphwekaywqhcjze' as VersionCid;
const INPUTS = new SingleInputs({ x: Tensor.from('FP32', [1, 2], [1, 2]) }, async () => {
  throw new Error('all inputs are tensors: no manifest is read');
});

/** What a node makes of the receipt that it should sign; undefined for none at all. */
type Forgery = (honest: Receipt) => Omit<Receipt, 'node'> | undefined;

/** Gives the inputs back, and a receipt that may be forged, signed by a key that may be another's. */
function forger(
  key: Ed25519PrivateKey,
  forge: Forgery,
  alter: (signed: Uint8Array) => Uint8Array = (signed) => signed,
): InferenceHandler & { readonly asked: { count: number } } {
  const sign = createReceiptSigner(key);
  const asked = { count: 0 };
  const admit = (header: RequestHeader, { caller }: { readonly caller: string }): Admission => ({
    execute: async (inputs) => {
      asked.count += 1;
      const digest = await digestTensors(inputs);
      const { receiptNonce: nonce = new Uint8Array(16), version } = header;
      const honest = {
        ...{ caller, nonce, version, inputs: digest, outputs: digest, provider: 'cpu' },
        ...{ receivedAtMs: Date.now(), answeredAtMs: Date.now(), executeMs: 1 },
      };
      const forged = forge(honest as Receipt);
      const receipt = forged && alter(sign(forged));
      return { outputs: inputs, queueMs: 0, executeMs: 1, load: IDLE, releaseSequence: 0, receipt };
    },
  });
  return { asked, admit, load: () => IDLE };
}

async function infer({ router }: StandInNodes): Promise<InferResult> {
  const options = resolveInferOptions({ receipt: true }, { deadlineMs: 10_000 });
  return router.infer(REF, INPUTS, options, new CallClock(options.deadlineMs, undefined));
}

const other = new Uint8Array(32).fill(9);

describe('A receipt of another than the node that answered', () => {
  it('is refused, and the call goes elsewhere', async () => {
    await using nodes = await StandInNodes.create();
    const stranger = await generateKeyPair('Ed25519');
    const bad = await nodes.add(
      forger(stranger, (honest) => honest),
      { ...IDLE, serviceMs: 0.1 },
    );
    const key = await generateKeyPair('Ed25519');
    const good = await nodes.add(
      forger(key, (honest) => honest),
      { ...IDLE, serviceMs: 90 },
      'ready',
      { key },
    );
    const { node, receipt, failedAttempts } = await infer(nodes);
    expect(node).toBe(good.id);
    expect(receipt?.receipt).toMatchObject({ node: good.id, caller: nodes.client.id });
    expect(failedAttempts).toMatchObject([
      { node: bad.id, code: 'ERR_INVALID_MESSAGE', message: expect.stringContaining('of node') },
    ]);
  });
});

describe.each<[string, Forgery, ((signed: Uint8Array) => Uint8Array)?]>([
  ['of other outputs', (honest) => ({ ...honest, outputs: other })],
  ['of other inputs', (honest) => ({ ...honest, inputs: other })],
  ['of another version', (honest) => ({ ...honest, version: OTHER })],
  ['of another caller', (honest) => ({ ...honest, caller: REF.publisher })],
  ['of another request', (honest) => ({ ...honest, nonce: new Uint8Array(16) })],
  [
    'altered after it was signed',
    (honest) => honest,
    (signed) => signed.map((byte, index) => (index === signed.length - 70 ? byte ^ 1 : byte)),
  ],
  ['of no form', (honest) => honest, () => Uint8Array.of(1, 2, 3)],
])('A receipt %s', (_, forge, alter) => {
  it('is refused: the caller gets no answer from that node, and does not go back there at once', async () => {
    await using nodes = await StandInNodes.create();
    const [bad, honest] = [await generateKeyPair('Ed25519'), await generateKeyPair('Ed25519')];
    const forging = forger(bad, forge, alter);
    const { id } = await nodes.add(forging, { ...IDLE, serviceMs: 0.1 }, 'ready', { key: bad });
    const good = await nodes.add(
      forger(honest, (receipt) => receipt),
      { ...IDLE, serviceMs: 90 },
      'ready',
      { key: honest },
    );
    const { node, failedAttempts } = await infer(nodes);
    expect(node).toBe(good.id);
    expect(failedAttempts).toMatchObject([{ node: id, code: 'ERR_INVALID_MESSAGE' }]);
    expect((await infer(nodes)).failedAttempts).toEqual([]);
    expect(forging.asked.count).toBe(1);
  });
});

describe('An answer without the receipt that was asked for', () => {
  it('is not taken: another node is asked, and where there is none the caller is told', async () => {
    await using nodes = await StandInNodes.create();
    const [bad, honest] = [await generateKeyPair('Ed25519'), await generateKeyPair('Ed25519')];
    const { id } = await nodes.add(
      forger(bad, () => undefined),
      { ...IDLE, serviceMs: 0.1 },
      'ready',
      { key: bad },
    );
    await expect(infer(nodes)).rejects.toMatchObject({
      code: 'ERR_FORBIDDEN',
      message: `node ${id} gave no receipt with its answer`,
    });
    const handler = forger(honest, (receipt) => receipt);
    const good = await nodes.add(handler, { ...IDLE, serviceMs: 90 }, 'ready', { key: honest });
    expect((await infer(nodes)).node).toBe(good.id);
  });
});
