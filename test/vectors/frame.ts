import { hex } from '../support/hex.ts';
import type { RefusedVector } from './inference.ts';

/** Whole frames. */
export const frameVectors = [
  {
    name: 'ping',
    bytes: hex('05000000', '07', '00000000'), // length, type, id
    frame: { type: 7, id: 0, payload: hex('') },
  },
  {
    name: 'credit of 65537 bytes for request 258',
    bytes: hex('08000000', '03', '02010000', '818004'),
    frame: { type: 3, id: 258, payload: hex('818004') },
  },
  {
    name: 'highest id',
    bytes: hex('06000000', '02', 'ffffffff', '2a'),
    frame: { type: 2, id: 4_294_967_295, payload: hex('2a') },
  },
  {
    name: 'unknown type',
    bytes: hex('05000000', 'ff', '01000000'),
    frame: { type: 255, id: 1, payload: hex('') },
  },
  {
    name: 'largest',
    bytes: hex('fcff0300', '02', '01000000', '61'.repeat(262_135)),
    frame: { type: 2, id: 1, payload: new Uint8Array(262_135).fill(0x61) },
  },
] as const;

export const refusedFrames: readonly RefusedVector[] = [
  {
    name: 'one-byte-too-large',
    bytes: hex('fdff0300', '02', '01000000'),
    message: /frame has 262145 bytes, expected 9 to 262144/,
  },
  {
    name: 'too-small-to-be-one',
    bytes: hex('04000000', '02', '01000000'),
    message: /frame has 8 bytes/,
  },
  {
    name: 'no-frame-at-all',
    bytes: hex('48545450 2f312e31 20'),
    message: /frame has 1347703884 bytes/,
  },
];
