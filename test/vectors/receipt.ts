import * as dagCbor from '@ipld/dag-cbor';
import type { NamedTensor } from '../../protocols/tensor.ts';
import { Tensor } from '../../protocols/tensor.ts';
import { hex } from '../support/hex.ts';

/** A payload that is taken, as docs/protocols/receipt.md describes it. */
export const receiptPayload = {
  caller: '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN',
  nonce: hex('000102030405060708090a0b0c0d0e0f'),
  version: 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
  inputs: new Uint8Array(32).fill(1),
  outputs: new Uint8Array(32).fill(2),
  receivedAtMs: 1_764_000_000_000,
  answeredAtMs: 1_764_000_000_012,
  executeMs: 1.5,
  provider: 'cuda',
};

/** Payloads that are refused once their signature is found good, by their defect, and the field that the refusal names. */
export const brokenReceipts: readonly {
  readonly name: string;
  readonly payload: Uint8Array;
  readonly names: RegExp;
}[] = [
  { name: 'not-dag-cbor', payload: Uint8Array.of(0xff), names: /not dag-cbor/ },
  {
    name: 'truncated',
    payload: dagCbor.encode(receiptPayload).slice(0, -1),
    names: /not dag-cbor/,
  },
  broken('no-map', [], /expected object/i),
  broken('no-caller', { caller: undefined }, /caller/),
  broken('empty-caller', { caller: '' }, /caller/),
  broken('caller-of-129-characters', { caller: 'a'.repeat(129) }, /caller/),
  broken('nonce-one-byte-short', { nonce: new Uint8Array(15) }, /nonce.*expected 16 bytes/),
  broken('nonce-one-byte-too-long', { nonce: new Uint8Array(17) }, /nonce.*expected 16 bytes/),
  broken('nonce-as-text', { nonce: '0001' }, /nonce/),
  broken('version-that-is-no-cid', { version: 'stable' }, /version.*expected the CID/),
  broken('inputs-one-byte-short', { inputs: new Uint8Array(31) }, /inputs.*expected 32 bytes/),
  broken('outputs-one-byte-too-long', { outputs: new Uint8Array(33) }, /outputs.*32 bytes/),
  broken('time-before-1970', { receivedAtMs: -1 }, /receivedAtMs/),
  broken('time-that-no-date-holds', { answeredAtMs: 8_640_000_000_000_001 }, /answeredAtMs/),
  broken('fractional-time', { answeredAtMs: 0.5 }, /answeredAtMs/),
  broken('negative-execution-time', { executeMs: -1 }, /executeMs/),
  broken('provider-of-33-characters', { provider: 'a'.repeat(33) }, /provider/),
];

/** Tensors and their encoding, byte by byte from docs/protocols/receipt.md. */
export const tensorVectors: readonly {
  readonly name: string;
  readonly tensors: readonly NamedTensor[];
  readonly bytes: Uint8Array;
}[] = [
  { name: 'none', tensors: [], bytes: encoded('00') },
  {
    name: 'two-in-the-order-of-their-names',
    tensors: [
      { name: 'z', tensor: new Tensor('FP32', [1, 2], hex('0000803f 00000040')) },
      { name: 'a', tensor: new Tensor('BYTES', [1], hex('01000000 61')) },
    ],
    bytes: encoded(
      '02', // two tensors
      '01 61 0c 01 01 05', // 'a', BYTES, [1], 5 bytes
      '01 7a 0a 02 01 02 08', // 'z', FP32, [1, 2], 8 bytes
      '01000000 61',
      '0000803f 00000040',
    ),
  },
  {
    name: 'scalar-with-a-name-of-two-bytes',
    tensors: [{ name: 'é', tensor: new Tensor('UINT8', [], hex('2a')) }],
    bytes: encoded('01', '02 c3a9 01 00 01', '2a'),
  },
];

function encoded(...parts: readonly string[]): Uint8Array {
  // 'gpu-swarm:tensors:1' and a NUL
  return hex('6770752d737761726d3a74656e736f72733a3100', ...parts);
}

function broken(name: string, change: object, names: RegExp) {
  const changed: Record<string, unknown> = { ...receiptPayload, ...change };
  for (const [field, value] of Object.entries(changed)) {
    if (value === undefined) delete changed[field];
  }
  const payload = dagCbor.encode(Array.isArray(change) ? change : changed);
  return { name, payload: new Uint8Array(payload), names };
}
