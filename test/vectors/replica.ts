import type { ReplicaProgress, ReplicaRequest } from '../../protocols/replica/index.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import { hex } from '../support/hex.ts';
import type { BrokenVector, ExchangeVector } from './routing.ts';

/** The text of a publisher's id and of a version, and their bytes. */
const PUBLISHER_TEXT = '12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo';
const CID_TEXT = 'bafyreigfobgggyyn37zoptjtamrw7nuql7qmdocz4nirtx5adrznfpwgme';
const ascii = (text: string): string => Buffer.from(text, 'latin1').toString('hex');

const CID = '63 636964';
const NAME = '64 6e616d65';
const RELEASE = '67 72656c65617365';
const PUBLISHER = '69 7075626c6973686572';
const STATE = '65 7374617465';
const BYTES = '65 6279746573';
const TOTAL_BYTES = '6a 746f74616c4279746573';
const FETCHING = '68 6665746368696e67';
const LOADING = '67 6c6f6164696e67';
const READY = '65 7265616479';
const FAILURE = '67 6661696c757265';
const STATUS = '66 737461747573';
const AFTER_MS = '67 61667465724d73';
const MESSAGE = '67 6d657373616765';

interface RequestParts {
  readonly length: string;
  readonly name?: string;
  readonly cid?: string;
  readonly publisher?: string;
  readonly release?: string;
}

function request(parts: RequestParts): Uint8Array {
  return hex(
    parts.length,
    'a4', // a map of four; shorter keys come first
    CID,
    parts.cid ?? `78 3b ${ascii(CID_TEXT)}`, // text of 59 bytes
    NAME,
    parts.name ?? '66 646967697473', // 'digits'
    RELEASE,
    parts.release ?? '42 0102', // two bytes
    PUBLISHER,
    parts.publisher ?? `78 34 ${ascii(PUBLISHER_TEXT)}`, // text of 52 bytes
  );
}

export const requestVectors: readonly ExchangeVector<ReplicaRequest>[] = [
  {
    name: 'request',
    bytes: request({ length: '9901' }), // 153 bytes
    message: {
      publisher: PUBLISHER_TEXT as PublisherId,
      name: 'digits',
      cid: CID_TEXT as VersionCid,
      release: Uint8Array.of(1, 2),
    },
  },
];

export const brokenRequests: readonly BrokenVector[] = [
  { name: 'empty', bytes: hex('00') },
  { name: 'no-map', bytes: hex('01', '80') },
  { name: 'parts-missing', bytes: hex('0d', 'a1', NAME, '66 646967697473') },
  { name: 'name-that-is-none', bytes: request({ length: '9901', name: '66 2e2e2f2e2e2f' }) },
  { name: 'publisher-that-is-none', bytes: request({ length: '65', publisher: '61 61' }) },
  { name: 'cid-that-is-none', bytes: request({ length: '5e', cid: '61 61' }) },
  { name: 'release-as-text', bytes: request({ length: '9901', release: '62 6161' }) },
  { name: 'not-dag-cbor', bytes: hex('04', 'ffffffff') },
  // A record of 16384 bytes and 1024 for the rest.
  { name: 'one-byte-over-the-bound', bytes: hex('818801') },
  { name: 'a-length-without-an-end', bytes: hex('ff'.repeat(64)) },
];

export const progressVectors: readonly ExchangeVector<ReplicaProgress>[] = [
  {
    name: 'fetching-with-an-unknown-total',
    bytes: hex(
      '23', // 35 bytes
      'a3', // a map of three
      BYTES,
      '00',
      STATE,
      FETCHING,
      TOTAL_BYTES,
      'f6', // null
    ),
    message: { state: 'fetching', bytes: 0, totalBytes: null },
  },
  {
    name: 'fetching',
    bytes: hex('2d', 'a3', BYTES, '19 03e8', STATE, FETCHING, TOTAL_BYTES, '1b 0000000100000000'),
    message: { state: 'fetching', bytes: 1000, totalBytes: 4_294_967_296 },
  },
  { name: 'loading', bytes: hex('0f', 'a1', STATE, LOADING), message: { state: 'loading' } },
  { name: 'ready', bytes: hex('0d', 'a1', STATE, READY), message: { state: 'ready' } },
];

/** A refusal: forbidden, with nothing to wait for. */
export const refusalBytes = hex(
  '26', // 38 bytes
  'a1', // a map of one
  FAILURE,
  'a3', // a map of three
  STATUS,
  '07', // forbidden
  AFTER_MS,
  'f6', // null
  MESSAGE,
  '62 6e6f', // 'no'
);

export const brokenProgress: readonly BrokenVector[] = [
  { name: 'unknown-state', bytes: hex('09', 'a1', STATE, '61 61') },
  {
    name: 'negative-bytes',
    bytes: hex('23', 'a3', BYTES, '20', STATE, FETCHING, TOTAL_BYTES, 'f6'),
  },
  { name: 'not-dag-cbor', bytes: hex('04', 'ffffffff') },
  { name: 'one-byte-over-the-bound', bytes: hex('8120') },
];
