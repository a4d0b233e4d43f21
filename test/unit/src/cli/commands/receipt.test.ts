import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { describe, expect, it } from 'vitest';
import { createReceiptSigner, digestTensors } from '../../../../../protocols/receipt/index.ts';
import { Tensor } from '../../../../../protocols/tensor.ts';
import type { VersionCid } from '../../../../../protocols/types.ts';
import type { CommandOptions } from '../../../../../src/cli/command-spec.ts';
import { runReceiptVerify } from '../../../../../src/cli/commands/receipt.ts';
import { formatInferenceResponse } from '../../../../../src/client/open-inference.ts';
import { refusal } from '../../../../support/refusal.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';
import { receiptPayload } from '../../../../vectors/receipt.ts';
import { createTestContext, events } from '../command-host.ts';

const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(7));
const NODE = peerIdFromPrivateKey(key).toString();
const OTHER_CID = 'bafyreiaysi4s6lnjev27ln5icwm6tueaw2vdykrtjkwiphwekaywqhcjze';
const { caller: CALLER, version: VERSION } = receiptPayload;

const y = Tensor.from('FP32', [1, 2], [0.1, Number.NEGATIVE_INFINITY]);
const REQUEST = {
  inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32', data: [0.1, 2] }],
};

function response(node: string, version: string, output = y): string {
  const parameters = { node };
  return formatInferenceResponse({
    ...{ modelName: 'p/m', modelVersion: version, parameters, outputs: { y: output } },
  });
}

/** A folder with a receipt, its request and its response, and a command in it. */
async function withReceipt(run: (folder: string) => Promise<void>): Promise<void> {
  await using folder = await createTestFolder();
  const receipt = createReceiptSigner(key)({
    ...receiptPayload,
    version: VERSION as VersionCid,
    inputs: await digestTensors([{ name: 'x', tensor: Tensor.from('FP32', [1, 2], [0.1, 2]) }]),
    outputs: await digestTensors([{ name: 'y', tensor: y }]),
  });
  const altered = receipt.slice();
  const last = altered.length - 1;
  altered[last] = (altered[last] ?? 0) ^ 1;
  const files: Readonly<Record<string, Uint8Array | string>> = {
    'a.receipt': receipt,
    'altered.receipt': altered,
    'cut.receipt': receipt.subarray(0, 100),
    'long.receipt': new Uint8Array(1025),
    'request.json': JSON.stringify(REQUEST),
    'other-request.json': JSON.stringify({ inputs: [{ ...REQUEST.inputs[0], data: [0.1, 3] }] }),
    'response.json': response(NODE, VERSION),
    'other-response.json': response(NODE, VERSION, Tensor.from('FP32', [1, 2], [0.1, 5])),
    'other-node.json': response(CALLER, VERSION),
    'other-version.json': response(NODE, OTHER_CID),
  };
  for (const [name, content] of Object.entries(files)) {
    await writeFile(path.join(folder.path, name), content);
  }
  await run(folder.path);
}

async function verify(cwd: string, options: CommandOptions, json = true) {
  const { context, written } = await createTestContext({}, { cwd, json });
  return { code: await runReceiptVerify(context, options), written };
}

const ALL = ['node', 'caller', 'version', 'inputs', 'outputs'];

describe('swarm receipt verify', () => {
  it('compares a receipt with whatever is given, and says what was not', async () => {
    await withReceipt(async (folder) => {
      const cases: readonly (readonly [CommandOptions, readonly string[]])[] = [
        [{}, []],
        [{ request: 'request.json' }, ['inputs']],
        [{ response: 'response.json' }, ['node', 'version', 'outputs']],
        [{ request: 'request.json', response: 'response.json', caller: CALLER }, ALL],
        [{ node: NODE, cid: VERSION }, ['node', 'version']],
      ];
      for (const [options, checked] of cases) {
        const { code, written } = await verify(folder, { file: 'a.receipt', ...options });
        expect(code).toBe(0);
        expect(events(written.stdout)).toMatchObject([
          {
            event: 'receipt',
            ...{ node: NODE, caller: CALLER, version: VERSION, provider: 'cuda' },
            answeredAt: '2025-11-24T16:00:00.012Z',
            nonce: '000102030405060708090a0b0c0d0e0f',
            checked: ['signature', ...checked],
            unchecked: ALL.filter((part) => !checked.includes(part)),
          },
        ]);
      }
    });
  });

  it('says it in plain words to people, and what no receipt shows', async () => {
    await withReceipt(async (folder) => {
      const options = { file: 'a.receipt', request: 'request.json' };
      const { written } = await verify(folder, options, false);
      expect(written.stdout).toContain(`signed by node ${NODE}`);
      expect(written.stdout).toContain(
        'checked: its signature; its inputs are those of the request',
      );
      expect(written.stdout).toContain('its outputs, for there is no --response');
      expect(written.stdout).toContain('no receipt shows that the answer is right');
    });
  });

  it.each<[string, CommandOptions, RegExp]>([
    ['whose signature was altered', { file: 'altered.receipt' }, /signature that is not by/],
    ['that was cut short', { file: 'cut.receipt' }, /is not dag-cbor/],
    ['of another request', { request: 'other-request.json' }, /of inputs with digest/],
    ['of another response', { response: 'other-response.json' }, /of outputs with digest/],
    ['of another node than answered', { response: 'other-node.json' }, /of node 12D3.*expected/],
    ['of another version', { response: 'other-version.json' }, /of version baf.*expected/],
    ['of another node than is named', { node: CALLER }, /is of node/],
    ['of another caller than is named', { caller: NODE }, /is of caller/],
    ['of another version than is named', { cid: OTHER_CID }, /is of version/],
  ])('refuses a receipt %s', async (_, options, message) => {
    await withReceipt(async (folder) => {
      await expect(verify(folder, { file: 'a.receipt', ...options })).rejects.toEqual(
        refusal('ERR_INVALID_RECORD', message),
      );
    });
  });

  it.each<[CommandOptions, unknown]>([
    [{ file: 'gone' }, refusal('ERR_NOT_FOUND', 'receipt gone does not exist')],
    [{ file: 'long.receipt' }, refusal('ERR_LIMIT', /more than 1024 bytes/)],
    [{ request: 'gone' }, refusal('ERR_NOT_FOUND', 'request file gone does not exist')],
    [
      { response: 'request.json' },
      refusal('ERR_INVALID_INPUT', /^response file [^:]+: outputs: expected an array/),
    ],
    [{ cid: 'stable' }, refusal('ERR_CONFIG', /^--cid is 'stable', expected the CID/)],
  ])('says of %j what is wrong', async (options, error) => {
    await withReceipt(async (folder) => {
      await expect(verify(folder, { file: 'a.receipt', ...options })).rejects.toEqual(error);
    });
  });
});
