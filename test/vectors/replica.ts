import type { ReplicaProgress, ReplicaRequest } from '../../protocols/replica/index.ts';
import { hex } from '../support/hex.ts';
import { type BrokenVector, type ExchangeVector, failureMap } from './exchange.ts';

const GRANT = '65 6772616e74';
const STATE = '65 7374617465';
const BYTES = '65 6279746573';
const TOTAL_BYTES = '6a 746f74616c4279746573';
const FETCHING = '68 6665746368696e67';
const LOADING = '67 6c6f6164696e67';
const READY = '65 7265616479';

export const requestVectors: readonly ExchangeVector<ReplicaRequest>[] = [
  {
    name: 'request',
    bytes: hex(
      '0a', // 10 bytes
      'a1', // a map of one
      GRANT,
      '42 0102', // two bytes
    ),
    message: { grant: Uint8Array.of(1, 2) },
  },
];

export const brokenRequests: readonly BrokenVector[] = [
  { name: 'empty', bytes: hex('00') },
  { name: 'no-map', bytes: hex('01', '80') },
  { name: 'grant-missing', bytes: hex('01', 'a0') },
  { name: 'grant-as-text', bytes: hex('0a', 'a1', GRANT, '62 6161') },
  { name: 'not-dag-cbor', bytes: hex('04', 'ffffffff') },
  // A grant of 1024 bytes and 64 for the rest.
  { name: 'one-byte-over-the-bound', bytes: hex('c108') },
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
  failureMap('07', 'f6', '62 6e6f'), // null, 'no'
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
