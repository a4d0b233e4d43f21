import type { RoutingQuery, RoutingSnapshot } from '../../protocols/routing/index.ts';
import { hex } from '../support/hex.ts';
import { type BrokenVector, type ExchangeVector, failureMap } from './exchange.ts';

const KIND = '64 6b696e64';
const NODES = '65 6e6f646573';
const MODEL = '65 6d6f64656c';
const NAME = '64 6e616d65';
const SELECTOR = '68 73656c6563746f72';
const PUBLISHER = '69 7075626c6973686572';
const RELEASE = '67 72656c65617365';
const RELEASE_AGE_MS = '6c 72656c656173654167654d73';
const ANNOUNCEMENTS = '6d 616e6e6f756e63656d656e7473';
const BYTES = '65 6279746573';
const AGE_MS = '65 6167654d73';

export const queryVectors: readonly ExchangeVector<RoutingQuery>[] = [
  {
    name: 'nodes',
    bytes: hex('0c', 'a1', KIND, NODES), // 12 bytes, a map of one
    message: { kind: 'nodes' },
  },
  {
    name: 'model',
    bytes: hex(
      '38', // 56 bytes
      'a4', // a map of four; shorter keys come first
      KIND,
      MODEL,
      NAME,
      '66 646967697473', // 'digits'
      SELECTOR,
      '66 737461626c65', // 'stable'
      PUBLISHER,
      '65 3132443361', // '12D3a'
    ),
    message: { kind: 'model', publisher: '12D3a', name: 'digits', selector: 'stable' },
  },
  {
    name: 'unknown-field',
    bytes: hex('11', 'a2', '61 61', '82 01 02', KIND, NODES),
    message: { kind: 'nodes' },
    readOnly: true,
  },
];

export const brokenQueries: readonly BrokenVector[] = [
  { name: 'unknown-kind', bytes: hex('09', 'a1', KIND, '62 616c') },
  { name: 'no-map', bytes: hex('01', '80') },
  { name: 'model-without-a-name', bytes: hex('0c', 'a1', KIND, MODEL) },
  { name: 'not-dag-cbor', bytes: hex('04', 'ffffffff') },
  { name: 'empty', bytes: hex('00') },
  { name: 'one-byte-over-the-bound', bytes: hex('8108', 'a1', KIND, NODES) },
  { name: 'a-length-without-an-end', bytes: hex('ff'.repeat(64)) },
];

export const snapshotVectors: readonly ExchangeVector<RoutingSnapshot>[] = [
  {
    name: 'nothing-known',
    bytes: hex(
      '19', // 25 bytes
      'a2', // a map of two
      RELEASE,
      'f6', // null
      ANNOUNCEMENTS,
      '80', // an empty list
    ),
    message: { release: null, announcements: [] },
  },
  {
    name: 'a-record-and-an-announcement',
    bytes: hex(
      '2f', // 47 bytes
      'a2', // a map of two
      RELEASE,
      '42 0102', // two bytes
      ANNOUNCEMENTS,
      '81', // a list of one
      'a2', // a map of two
      AGE_MS,
      '19 05dc', // 1500
      BYTES,
      '43 0a0b0c', // three bytes
    ),
    message: {
      release: Uint8Array.of(1, 2),
      announcements: [{ bytes: Uint8Array.of(10, 11, 12), ageMs: 1500 }],
    },
  },
  {
    name: 'a-record-looked-up-1200-ms-before',
    bytes: hex(
      '2b', // 43 bytes
      'a3', // a map of three; shorter keys come first
      RELEASE,
      '42 0102', // two bytes
      RELEASE_AGE_MS,
      '19 04b0', // 1200
      ANNOUNCEMENTS,
      '80', // an empty list
    ),
    message: { release: Uint8Array.of(1, 2), releaseAgeMs: 1200, announcements: [] },
  },
];

/** A refusal: busy, to come back after 250 ms. */
export const refusalBytes = hex(
  '29', // 41 bytes
  failureMap('08', '18 fa', '64 66756c6c'), // 250, 'full'
);

export const brokenSnapshots: readonly BrokenVector[] = [
  { name: 'no-map', bytes: hex('01', '80') },
  { name: 'release-as-text', bytes: hex('1a', 'a2', RELEASE, '61 61', ANNOUNCEMENTS, '80') },
  {
    name: 'negative-release-age',
    bytes: hex('27', 'a3', RELEASE, 'f6', RELEASE_AGE_MS, '20', ANNOUNCEMENTS, '80'),
  },
  { name: 'announcements-missing', bytes: hex('0a', 'a1', RELEASE, 'f6') },
  {
    name: 'negative-age',
    bytes: hex('28', 'a2', RELEASE, 'f6', ANNOUNCEMENTS, '81', 'a2', AGE_MS, '20', BYTES, '40'),
  },
  {
    name: 'failure-with-status-0',
    bytes: hex('24', failureMap('00', 'f6', '60')),
  },
  { name: 'not-dag-cbor', bytes: hex('04', 'ffffffff') },
  // 128 announcements and 64 digests of 2048 bytes, a record of 16384, and what holds them together: 415 232 bytes.
  { name: 'over-the-bound', bytes: hex('81ac19') },
];
