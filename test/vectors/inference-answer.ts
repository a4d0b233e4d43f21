import type { FailureMessage, ResponseHeader } from '../../protocols/inference/message.ts';
import { hex } from '../support/hex.ts';
import { type InferenceVector, type RefusedVector, tensor } from './inference.ts';

const LOAD = { inFlight: 1, queued: 2, slots: 4, serviceMs: 1.5 };
const LOAD_HEX = '01 02 04 dd0b'; // 1 in flight, 2 queued, 4 slots, 1500 µs + 1
const IDLE = { inFlight: 0, queued: 0, slots: 1, serviceMs: null };
const IDLE_HEX = '00 00 01 00';

const K_1024 = '8008';
const K_1025 = '8108';

/** A varint of 2^53 and no more, one over the largest. */
const TOO_LARGE = '8080808080808010';

/** A response without tensors of an idle version, with some of its parts replaced. */
function response(parts: {
  readonly times?: string;
  readonly outputs?: string;
  readonly extension?: string;
}): Uint8Array {
  return hex(
    IDLE_HEX,
    parts.times ?? '00 00',
    '00',
    parts.outputs ?? '00',
    parts.extension ?? '00',
  );
}

const EMPTY_RESPONSE: ResponseHeader = {
  load: IDLE,
  queueMs: 0,
  executeMs: 0,
  releaseSequence: 0,
  outputs: [],
};

export const responseVectors: readonly InferenceVector<ResponseHeader>[] = [
  { name: 'smallest', bytes: response({}), message: EMPTY_RESPONSE },
  {
    name: 'every-field-and-a-body-beside-it',
    bytes: hex(
      LOAD_HEX,
      'fa01', // waited 250 µs
      'dc0b', // ran 1500 µs
      '07', // release sequence
      '01', // one output
      '01 79', // 'y'
      '08', // INT64
      '01 01', // one dimension: 1
      '08', // 8 bytes
      '00', // no extension
      'ffffffffffffffff', // −1
    ),
    message: {
      load: LOAD,
      queueMs: 0.25,
      executeMs: 1.5,
      releaseSequence: 7,
      outputs: [tensor('y', 'INT64', [1], 8)],
    },
    body: 'ffffffffffffffff',
  },
  {
    name: 'with-a-receipt',
    // field 1, three bytes: whoever reads it checks it
    bytes: response({ extension: '05 01 03 836161' }),
    message: { ...EMPTY_RESPONSE, receipt: hex('836161') },
  },
  {
    name: 'with-the-longest-receipt',
    bytes: response({ extension: `8308 01 ${K_1024} ${'5a'.repeat(1024)}` }),
    message: { ...EMPTY_RESPONSE, receipt: hex('5a'.repeat(1024)) },
  },
  {
    name: 'extension-is-passed-over',
    bytes: response({ extension: '03 02 01 2a' }),
    message: EMPTY_RESPONSE,
    readOnly: true,
  },
  {
    name: 'most-outputs',
    bytes: response({ outputs: `${K_1024} ${'01 78 00 00 01'.repeat(1024)}` }),
    message: {
      ...EMPTY_RESPONSE,
      outputs: Array.from({ length: 1024 }, () => tensor('x', 'BOOL', [], 1)),
    },
  },
];

export const refusedResponses: readonly RefusedVector[] = [
  {
    name: 'one-output-too-many',
    bytes: response({ outputs: `${K_1025} ${'01 78 00 00 01'.repeat(1025)}` }),
    message: /number of tensors is 1025, expected at most 1024/,
  },
  {
    name: 'queue-time-too-large',
    bytes: response({ times: `${TOO_LARGE} 00` }),
    message: /queue time is 9007199254740992/,
  },
  {
    name: 'unknown-datatype',
    bytes: response({ outputs: '01 01 78 ff 00 01' }),
    message: /datatype code 255/,
  },
  {
    name: 'extension-longer-than-the-frame',
    bytes: response({ extension: '02 00' }),
    message: /ends inside extension/,
  },
  {
    name: 'receipt-one-byte-too-long',
    bytes: response({ extension: `8408 01 ${K_1025} ${'5a'.repeat(1025)}` }),
    message: /receipt has 1025 bytes, expected at most 1024/,
  },
  {
    name: 'receipt-cut-by-the-end-of-the-extension',
    bytes: response({ extension: '05 01 04 836161' }),
    message: /extension field 1 has 4 bytes, expected at most 3/,
  },
];

export const failureVectors: readonly InferenceVector<FailureMessage>[] = [
  {
    name: 'busy-with-a-time-to-come-back',
    bytes: hex(
      '08', // busy
      'fb01', // 250 ms + 1
      '04 66756c6c', // 'full'
      LOAD_HEX,
      '00', // no extension
    ),
    message: { failure: { status: 8, message: 'full', afterMs: 250 }, load: LOAD },
  },
  {
    name: 'come-back-at-once',
    bytes: hex('09 01 00', IDLE_HEX, '00'),
    message: { failure: { status: 9, message: '', afterMs: 0 }, load: IDLE },
  },
  {
    name: 'status-of-a-later-version',
    bytes: hex('ff 00 00', IDLE_HEX, '00'),
    message: { failure: { status: 255, message: '', afterMs: null }, load: IDLE },
  },
  {
    name: 'extension-is-passed-over',
    bytes: hex('0e 00 00', IDLE_HEX, '03 01 01 02'),
    message: { failure: { status: 14, message: '', afterMs: null }, load: IDLE },
    readOnly: true,
  },
  {
    name: 'control-characters-become-blanks',
    bytes: hex('0e 00 03 610a62', IDLE_HEX, '00'),
    message: { failure: { status: 14, message: 'a b', afterMs: null }, load: IDLE },
    readOnly: true,
  },
  {
    name: 'longest-message',
    // 512 characters of four bytes are 1024 of UTF-16, so what is kept of the text is its first half.
    bytes: hex('0e 00 8010', 'f09f9880'.repeat(512), IDLE_HEX, '00'),
    message: { failure: { status: 14, message: '😀'.repeat(256), afterMs: null }, load: IDLE },
    readOnly: true,
  },
];

export const refusedFailures: readonly RefusedVector[] = [
  {
    name: 'message-one-byte-too-long',
    bytes: hex('0e 00 8110', '61'.repeat(2049), IDLE_HEX, '00'),
    message: /length of message is 2049, expected at most 2048/,
  },
];

export const creditVectors: readonly InferenceVector<number>[] = [
  { name: 'none', bytes: hex('00'), message: 0 },
  { name: 'one-byte-varint', bytes: hex('7f'), message: 127 },
  { name: 'two-byte-varint', bytes: hex('8001'), message: 128 },
  { name: 'largest', bytes: hex('8080808004'), message: 2 ** 30 },
];

export const refusedCredits: readonly RefusedVector[] = [
  { name: 'one-byte-too-much', bytes: hex('8180808004'), message: /bytes is 1073741825/ },
  { name: 'something-behind-it', bytes: hex('01 00'), message: /1 bytes too many/ },
  { name: 'empty', bytes: hex(''), message: /ends inside bytes/ },
];
