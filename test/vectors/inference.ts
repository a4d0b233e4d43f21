import { DATATYPES } from '../../protocols/datatype.ts';
import type { RequestHeader } from '../../protocols/inference/message.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { hex } from '../support/hex.ts';

/** Bytes of a payload and the message they are. Every byte is written by hand from docs/protocols/inference.md. */
export interface InferenceVector<Message> {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly message: Message;
  /** What of the bytes is the body beside the header, in hex. */
  readonly body?: string;
  /** Bytes that this version reads and does not write. */
  readonly readOnly?: true;
}

/** Bytes that are refused, and what the error says. */
export interface RefusedVector {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly message: RegExp;
}

const K_1024 = '8008';
const K_1025 = '8108';
const K_65536 = '808004';
const K_65537 = '818004';

const NONCE_HEX = '000102030405060708090a0b0c0d0e0f';

/** A varint of 2^53 − 1, the largest, and the next number. */
const LARGEST = 'ffffffffffffff0f';
const TOO_LARGE = '8080808080808010';

interface RequestParts {
  readonly version?: string;
  readonly deadline?: string;
  readonly priority?: string;
  readonly traceparent?: string;
  readonly outputs?: string;
  readonly credit?: string;
  readonly inputs?: string;
  readonly extension?: string;
  readonly body?: string;
}

/** The smallest request there is, with some of its parts replaced. */
function request(parts: RequestParts): Uint8Array {
  return hex(
    parts.version ?? '01 76', // 'v'
    parts.deadline ?? '01', // 1 ms
    parts.priority ?? '00',
    parts.traceparent ?? '00',
    parts.outputs ?? '00', // all
    parts.credit ?? '00',
    parts.inputs ?? '00',
    parts.extension ?? '00',
    parts.body ?? '',
  );
}

const SMALLEST: RequestHeader = {
  version: 'v' as VersionCid,
  deadlineMs: 1,
  priority: 0,
  traceparent: '',
  outputs: [],
  responseCredit: 0,
  inputs: [],
};

/** What a request or a response says of one tensor. */
export function tensor(
  name: string,
  datatype: (typeof DATATYPES)[number],
  shape: number[],
  byteLength: number,
) {
  return { name, datatype, shape, byteLength };
}

export const requestVectors: readonly InferenceVector<RequestHeader>[] = [
  { name: 'smallest', bytes: request({}), message: SMALLEST },
  {
    name: 'every-field-and-a-body-beside-it',
    bytes: hex(
      '03 6b3161', // version 'k1a'
      'b0ea01', // 30000 ms
      '09', // priority
      '02 3030', // traceparent '00'
      '02 02 6f31 03 c3bc31', // two outputs: 'o1', 'ü1'
      '80808002', // response credit 4 MiB
      '02', // two inputs
      '01 78', // 'x'
      '0a', // FP32
      '02 01 02', // two dimensions: 1, 2
      '08', // 8 bytes
      '00', // ''
      '0c', // BYTES
      '01 01', // one dimension: 1
      '05', // 5 bytes
      '00', // no extension
      '0000803f 00000040', // 1, 2
      '01000000 61', // 'a'
    ),
    message: {
      version: 'k1a' as VersionCid,
      deadlineMs: 30_000,
      priority: 9,
      traceparent: '00',
      outputs: ['o1', 'ü1'],
      responseCredit: 4_194_304,
      inputs: [tensor('x', 'FP32', [1, 2], 8), tensor('', 'BYTES', [1], 5)],
    },
    body: '0000803f000000400100000061',
  },
  {
    name: 'a-body-to-come',
    bytes: request({ inputs: `01 01 78 01 01 ${K_65537} ${K_65537}` }),
    message: { ...SMALLEST, inputs: [tensor('x', 'UINT8', [65_537], 65_537)] },
  },
  {
    name: 'every-datatype',
    // Each is named '', a scalar, and its bytes are its code: what fits a shape is for the stream to judge.
    bytes: request({
      inputs: `0d ${DATATYPES.map((_, code) => `00 0${code.toString(16)} 00 0${code.toString(16)}`).join('')}`,
    }),
    message: {
      ...SMALLEST,
      inputs: DATATYPES.map((datatype, code) => tensor('', datatype, [], code)),
    },
  },
  {
    name: 'asks-for-a-receipt',
    // field 1, 16 bytes
    bytes: request({ extension: `12 01 10 ${NONCE_HEX}`, inputs: '01 01 78 01 00 01', body: '2a' }),
    message: { ...SMALLEST, inputs: [tensor('x', 'UINT8', [], 1)], receiptNonce: hex(NONCE_HEX) },
    body: '2a',
  },
  {
    name: 'was-counted-before',
    // field 2, no bytes
    bytes: request({ extension: '02 02 00' }),
    message: { ...SMALLEST, again: true },
  },
  {
    name: 'trace-state-beside-the-others',
    // field 1, 16 bytes; field 2, none; field 3, 3 bytes
    bytes: request({ extension: `19 01 10 ${NONCE_HEX} 02 00 03 03 613d31` }),
    message: { ...SMALLEST, receiptNonce: hex(NONCE_HEX), again: true, tracestate: 'a=1' },
  },
  {
    name: 'longest-trace-state',
    bytes: request({ extension: `8304 03 8004 ${'61'.repeat(512)}` }),
    message: { ...SMALLEST, tracestate: 'a'.repeat(512) },
  },
  {
    name: 'longer-trace-state-is-passed-over',
    bytes: request({ extension: `8404 03 8104 ${'61'.repeat(513)}` }),
    message: SMALLEST,
    readOnly: true,
  },
  {
    name: 'extension-field-of-a-later-version-is-passed-over',
    // field 1 as above, then field 128 with two bytes
    bytes: request({ extension: `17 01 10 ${NONCE_HEX} 8001 02 ff00` }),
    message: { ...SMALLEST, receiptNonce: hex(NONCE_HEX) },
    readOnly: true,
  },
  {
    name: 'extension-is-passed-over',
    // field 9 with one byte
    bytes: request({ extension: '03 0901ff', inputs: '01 01 78 01 00 01', body: '2a' }),
    message: { ...SMALLEST, inputs: [tensor('x', 'UINT8', [], 1)] },
    body: '2a',
    readOnly: true,
  },
  {
    name: 'padded-varint',
    bytes: request({ deadline: '818000' }),
    message: SMALLEST,
    readOnly: true,
  },
  {
    name: 'longest-version',
    bytes: request({ version: `8001 ${'61'.repeat(128)}` }),
    message: { ...SMALLEST, version: 'a'.repeat(128) as VersionCid },
  },
  {
    name: 'longest-deadline',
    bytes: request({ deadline: '80b89929' }),
    message: { ...SMALLEST, deadlineMs: 86_400_000 },
  },
  {
    name: 'highest-priority',
    bytes: request({ priority: 'ff' }),
    message: { ...SMALLEST, priority: 255 },
  },
  {
    name: 'longest-traceparent',
    bytes: request({ traceparent: `8001 ${'61'.repeat(128)}` }),
    message: { ...SMALLEST, traceparent: 'a'.repeat(128) },
  },
  {
    name: 'most-outputs',
    bytes: request({ outputs: `${K_1024} ${'01 6f'.repeat(1024)}` }),
    message: { ...SMALLEST, outputs: Array.from({ length: 1024 }, () => 'o') },
  },
  {
    name: 'longest-name-of-an-output',
    bytes: request({ outputs: `01 ${K_65536} ${'61'.repeat(65_536)}` }),
    message: { ...SMALLEST, outputs: ['a'.repeat(65_536)] },
  },
  {
    name: 'largest-response-credit',
    bytes: request({ credit: '8080808004' }),
    message: { ...SMALLEST, responseCredit: 2 ** 30 },
  },
  {
    name: 'most-inputs',
    bytes: request({ inputs: `${K_1024} ${'01 78 00 00 01'.repeat(1024)}` }),
    message: {
      ...SMALLEST,
      inputs: Array.from({ length: 1024 }, () => tensor('x', 'BOOL', [], 1)),
    },
  },
  {
    name: 'longest-name-of-an-input',
    bytes: request({ inputs: `01 ${K_65536} ${'61'.repeat(65_536)} 00 00 01` }),
    message: { ...SMALLEST, inputs: [tensor('a'.repeat(65_536), 'BOOL', [], 1)] },
  },
  {
    name: 'highest-rank',
    bytes: request({ inputs: `01 01 78 00 20 ${'01'.repeat(32)} 01` }),
    message: {
      ...SMALLEST,
      inputs: [
        tensor(
          'x',
          'BOOL',
          Array.from({ length: 32 }, () => 1),
          1,
        ),
      ],
    },
  },
  {
    name: 'largest-dimension-and-byte-length',
    bytes: request({ inputs: `01 01 78 01 01 ${LARGEST} ${LARGEST}` }),
    message: {
      ...SMALLEST,
      inputs: [tensor('x', 'UINT8', [Number.MAX_SAFE_INTEGER], Number.MAX_SAFE_INTEGER)],
    },
  },
];

export const refusedRequests: readonly RefusedVector[] = [
  { name: 'empty', bytes: hex(''), message: /ends inside length of version: it has 0 bytes/ },
  {
    name: 'version-one-byte-too-long',
    bytes: request({ version: `8101 ${'61'.repeat(129)}` }),
    message: /length of version is 129, expected at most 128/,
  },
  { name: 'no-deadline', bytes: request({ deadline: '00' }), message: /deadline is 0/ },
  {
    name: 'deadline-one-millisecond-too-long',
    bytes: request({ deadline: '81b89929' }),
    message: /deadline is 86400001, expected at most 86400000/,
  },
  {
    name: 'traceparent-one-byte-too-long',
    bytes: request({ traceparent: `8101 ${'61'.repeat(129)}` }),
    message: /length of traceparent is 129, expected at most 128/,
  },
  {
    name: 'one-output-too-many',
    bytes: request({ outputs: `${K_1025} ${'01 6f'.repeat(1025)}` }),
    message: /number of outputs is 1025, expected at most 1024/,
  },
  {
    name: 'name-of-an-output-one-byte-too-long',
    bytes: request({ outputs: `01 ${K_65537} ${'61'.repeat(65_537)}` }),
    message: /length of output is 65537, expected at most 65536/,
  },
  {
    name: 'response-credit-one-byte-too-much',
    bytes: request({ credit: '8180808004' }),
    message: /response credit is 1073741825, expected at most 1073741824/,
  },
  {
    name: 'one-input-too-many',
    bytes: request({ inputs: `${K_1025} ${'01 78 00 00 01'.repeat(1025)}` }),
    message: /number of tensors is 1025, expected at most 1024/,
  },
  {
    name: 'name-of-an-input-one-byte-too-long',
    bytes: request({ inputs: `01 ${K_65537} ${'61'.repeat(65_537)} 00 00 01` }),
    message: /length of name is 65537, expected at most 65536/,
  },
  {
    name: 'unknown-datatype',
    bytes: request({ inputs: '01 01 78 0d 00 01' }),
    message: /datatype code 13/,
  },
  {
    name: 'one-dimension-too-many',
    bytes: request({ inputs: `01 01 78 00 21 ${'01'.repeat(33)} 01` }),
    message: /33 dimensions, expected at most 32/,
  },
  {
    name: 'dimension-too-large',
    bytes: request({ inputs: `01 01 78 01 01 ${TOO_LARGE} 01` }),
    message: /dimension is 9007199254740992, expected at most 9007199254740991/,
  },
  {
    name: 'byte-length-without-an-end',
    bytes: request({ inputs: `01 01 78 01 00 ${'ff'.repeat(9)}` }),
    message: /byte length is longer than 8 bytes/,
  },
  {
    name: 'more-inputs-announced-than-there-are',
    bytes: hex('01 76 01 00 00 00 00', K_1024),
    message: /ends inside length of name/,
  },
  {
    name: 'extension-longer-than-the-frame',
    bytes: request({ extension: `${LARGEST} 00` }),
    message: /ends inside extension/,
  },
  {
    name: 'receipt-nonce-one-byte-short',
    bytes: request({ extension: `11 01 0f ${NONCE_HEX.slice(2)}` }),
    message: /receipt nonce has 15 bytes, expected 16/,
  },
  {
    name: 'receipt-nonce-one-byte-too-long',
    bytes: request({ extension: `13 01 11 ${NONCE_HEX}10` }),
    message: /receipt nonce has 17 bytes, expected 16/,
  },
  {
    name: 'extension-field-past-the-end-of-the-extension',
    bytes: request({ extension: `12 01 11 ${NONCE_HEX}`, body: '2a' }),
    message: /extension field 1 has 17 bytes, expected at most 16/,
  },
  {
    name: 'extension-that-ends-inside-a-field',
    bytes: request({ extension: '01 01', body: '00' }),
    message: /extension field 1 has 0 bytes, expected at most 0, the rest/,
  },
  {
    name: 'extension-field-0',
    bytes: request({ extension: '02 0000' }),
    message: /field 0 after field 0, expected ascending numbers from 1/,
  },
  {
    name: 'extension-field-twice',
    bytes: request({ extension: '04 0900 0900' }),
    message: /field 9 after field 9/,
  },
];
