import { Uint8ArrayList } from 'uint8arraylist';
import { NOTHING, WHOLE } from '../../protocols/transfer/index.ts';
import type { TransferAnswer, TransferRequest } from '../../protocols/transfer/message.ts';
import { hex } from '../support/hex.ts';

/** The sha256 of `hello`. */
export const HELLO_DIGEST = hex('2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824');

export interface RequestVector {
  readonly name: string;
  /** Without the length in front. */
  readonly bytes: Uint8Array;
  readonly request: TransferRequest;
}

export interface AnswerVector {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly answer: TransferAnswer;
}

/** Bytes that are no message of this protocol. */
export interface RefusedVector {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly message: string;
}

const DIGEST_HEX = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';

export const requestVectors: readonly RequestVector[] = [
  {
    name: 'a want of at most 1 MiB',
    bytes: hex('01 07000000 00001000', DIGEST_HEX),
    request: { type: 'want', id: 7, maxBytes: 1_048_576, digest: HELLO_DIGEST },
  },
  {
    name: 'a want with the highest id and bound',
    bytes: hex('01 ffffffff ffffffff', DIGEST_HEX),
    request: { type: 'want', id: 0xffff_ffff, maxBytes: 0xffff_ffff, digest: HELLO_DIGEST },
  },
  {
    name: 'a cancel',
    bytes: hex('02 07000000'),
    request: { type: 'cancel', id: 7 },
  },
  {
    name: 'an inquiry',
    bytes: hex('05 07000000', DIGEST_HEX),
    request: { type: 'inquire', id: 7, version: HELLO_DIGEST },
  },
];

const REQUEST_FORM = 'expected a want of 41, a cancel of 5 or an inquiry of 37';

export const refusedRequests: readonly RefusedVector[] = [
  { name: 'nothing', bytes: hex(''), message: 'has 0 bytes, expected at least 5' },
  { name: 'half a header', bytes: hex('01 070000'), message: 'has 4 bytes, expected at least 5' },
  {
    name: 'a want without a digest',
    bytes: hex('01 07000000 00001000'),
    message: `type 1 and 9 bytes, ${REQUEST_FORM}`,
  },
  {
    name: 'a want whose digest lacks a byte',
    bytes: hex('01 07000000 00001000', DIGEST_HEX.slice(2)),
    message: `type 1 and 40 bytes, ${REQUEST_FORM}`,
  },
  {
    name: 'a want with a byte too many',
    bytes: hex('01 07000000 00001000', DIGEST_HEX, '00'),
    message: `type 1 and 42 bytes, ${REQUEST_FORM}`,
  },
  {
    name: 'a cancel with a byte too many',
    bytes: hex('02 07000000 00'),
    message: `type 2 and 6 bytes, ${REQUEST_FORM}`,
  },
  {
    name: 'an answer',
    bytes: hex('04 07000000 05 ffffffff'),
    message: `type 4 and 10 bytes, ${REQUEST_FORM}`,
  },
  {
    name: 'an inquiry without a digest',
    bytes: hex('05 07000000'),
    message: `type 5 and 5 bytes, ${REQUEST_FORM}`,
  },
  {
    name: 'an inquiry with a byte too many',
    bytes: hex('05 07000000', DIGEST_HEX, '00'),
    message: `type 5 and 38 bytes, ${REQUEST_FORM}`,
  },
  {
    name: 'an unknown type',
    bytes: hex('07 07000000'),
    message: `type 7 and 5 bytes, ${REQUEST_FORM}`,
  },
];

export const answerVectors: readonly AnswerVector[] = [
  {
    name: 'a whole block in one piece',
    bytes: hex('03 07000000 05000000 00000000 68656c6c6f'),
    answer: {
      type: 'piece',
      id: 7,
      totalBytes: 5,
      offset: 0,
      data: new Uint8ArrayList(hex('68656c6c6f')),
    },
  },
  {
    name: 'the end of a block',
    bytes: hex('03 07000000 05000000 03000000 6c6f'),
    answer: {
      type: 'piece',
      id: 7,
      totalBytes: 5,
      offset: 3,
      data: new Uint8ArrayList(hex('6c6f')),
    },
  },
  {
    name: 'an empty block',
    bytes: hex('03 07000000 00000000 00000000'),
    answer: { type: 'piece', id: 7, totalBytes: 0, offset: 0, data: new Uint8ArrayList() },
  },
  {
    name: 'a failure: not found',
    bytes: hex('04 07000000 05 ffffffff 676f6e65'),
    answer: { type: 'failed', id: 7, failure: { status: 5, message: 'gone', afterMs: null } },
  },
  {
    name: 'a failure: busy, come back after 250 ms, in letters outside ASCII',
    bytes: hex('04 07000000 08 fa000000 c5bc c3b3 c582 77'),
    answer: { type: 'failed', id: 7, failure: { status: 8, message: 'żółw', afterMs: 250 } },
  },
  {
    name: 'a failure without words and of a status that this program does not know',
    bytes: hex('04 07000000 ff ffffffff'),
    answer: { type: 'failed', id: 7, failure: { status: 255, message: '', afterMs: null } },
  },
  {
    name: 'holdings of a whole version',
    bytes: hex('06 07000000 01 00000000'),
    answer: { type: 'holdings', id: 7, holdings: WHOLE },
  },
  {
    name: 'holdings of nothing yet',
    bytes: hex('06 07000000 00 00000000'),
    answer: { type: 'holdings', id: 7, holdings: NOTHING },
  },
  {
    name: 'holdings of the chunks 0, 3 and 8 of nine, chunk 1 on its way',
    bytes: hex('06 07000000 00 09000000 0901 0200'),
    answer: {
      type: 'holdings',
      id: 7,
      holdings: { whole: false, count: 9, has: hex('0901'), coming: hex('0200') },
    },
  },
];

const ANSWER_FORM = 'expected a piece, a failure or holdings';

export const refusedAnswers: readonly RefusedVector[] = [
  { name: 'nothing', bytes: hex(''), message: 'has 0 bytes, expected at least 5' },
  { name: 'half a header', bytes: hex('03 07'), message: 'has 2 bytes, expected at least 5' },
  {
    name: 'a piece without an offset',
    bytes: hex('03 07000000 05000000 000000'),
    message: `type 3 and 12 bytes, ${ANSWER_FORM}`,
  },
  {
    name: 'a failure without a delay',
    bytes: hex('04 07000000 05 ffffff'),
    message: `type 4 and 9 bytes, ${ANSWER_FORM}`,
  },
  {
    name: 'holdings without a count',
    bytes: hex('06 07000000 00 090000'),
    message: `type 6 and 9 bytes, ${ANSWER_FORM}`,
  },
  {
    name: 'holdings that lack a byte',
    bytes: hex('06 07000000 00 09000000 0901 02'),
    message: 'holdings of 9 chunks have 13 bytes, expected 14',
  },
  {
    name: 'holdings with a byte too many',
    bytes: hex('06 07000000 01 00000000 00'),
    message: 'holdings of 0 chunks have 11 bytes, expected 10',
  },
  {
    name: 'holdings that are whole and have bits',
    bytes: hex('06 07000000 01 01000000 01 00'),
    message: 'holdings have flag 1 and 1 chunks, expected 0 with at most 524288, or 1 with none',
  },
  {
    name: 'holdings of an unknown flag',
    bytes: hex('06 07000000 02 00000000'),
    message: 'holdings have flag 2 and 0 chunks',
  },
  {
    name: 'holdings of one chunk more than may be told of',
    bytes: hex('06 07000000 00 01000800'),
    message: 'holdings have flag 0 and 524289 chunks',
  },
  {
    name: 'a request',
    bytes: hex('01 07000000 00001000', DIGEST_HEX),
    message: `type 1 and 41 bytes, ${ANSWER_FORM}`,
  },
  {
    name: 'an unknown type',
    bytes: hex('00 07000000'),
    message: `type 0 and 5 bytes, ${ANSWER_FORM}`,
  },
];
