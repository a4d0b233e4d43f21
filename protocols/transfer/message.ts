import { Uint8ArrayList } from 'uint8arraylist';
import { DIGEST_BYTES } from '../digest.ts';
import { InvalidMessageError } from '../errors.ts';
import {
  MAX_CHUNK_BYTES,
  MAX_CHUNK_LIST_BYTES,
  MAX_MANIFEST_BYTES,
  MAX_REMOTE_TEXT,
} from '../limits.ts';
import type { WireFailure } from '../status.ts';
import { bitBytes, type Holdings, MAX_HOLDING_CHUNKS } from './holdings.ts';

/** Version of the exchange in its protocol id. */
export const TRANSFER_VERSION = '1.1.0';

/** Bytes of the largest block there is: a manifest, a chunk list or a chunk. */
export const MAX_BLOCK_BYTES = Math.max(MAX_CHUNK_BYTES, MAX_CHUNK_LIST_BYTES, MAX_MANIFEST_BYTES);

/** Bytes of a block in one message: enough to make the header not matter, little enough to notice a cancel. */
export const MAX_PIECE_BYTES = 256 * 1024;

/** Requests for blocks that may be open on one stream. */
export const MAX_WANTS = 256;

const WANT = 1;
const CANCEL = 2;
const PIECE = 3;
const FAILED = 4;
const INQUIRE = 5;
const HOLDINGS = 6;

const INQUIRE_BYTES = 5 + DIGEST_BYTES;
const HOLDINGS_HEADER_BYTES = 10;
const PIECE_HEADER_BYTES = 13;
const NO_DELAY = 0xffff_ffff;

/** Bytes of the longest message to the side that serves. */
export const MAX_REQUEST_MESSAGE_BYTES = 9 + DIGEST_BYTES;

/** Bytes of the longest message to the side that asks. */
export const MAX_ANSWER_MESSAGE_BYTES = PIECE_HEADER_BYTES + MAX_PIECE_BYTES;

/** What the side that asks says. */
export type TransferRequest =
  | {
      readonly type: 'want';
      /** Chosen by the asker, not in use on this stream. */
      readonly id: number;
      /** The asker takes no larger block. */
      readonly maxBytes: number;
      readonly digest: Uint8Array;
    }
  | { readonly type: 'cancel'; readonly id: number }
  | {
      readonly type: 'inquire';
      readonly id: number;
      /** Digest of the manifest: the version that is asked about. */
      readonly version: Uint8Array;
    };

/** What the side that serves says. */
export type TransferAnswer =
  | {
      readonly type: 'piece';
      readonly id: number;
      readonly totalBytes: number;
      /** Where the piece belongs in the block; pieces come in order and without gaps. */
      readonly offset: number;
      readonly data: Uint8ArrayList;
    }
  | { readonly type: 'failed'; readonly id: number; readonly failure: WireFailure }
  | { readonly type: 'holdings'; readonly id: number; readonly holdings: Holdings };

export function encodeWant(id: number, maxBytes: number, digest: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(9 + DIGEST_BYTES);
  const view = header(bytes, WANT, id);
  view.setUint32(5, maxBytes, true);
  bytes.set(digest, 9);
  return bytes;
}

export function encodeCancel(id: number): Uint8Array {
  const bytes = new Uint8Array(5);
  header(bytes, CANCEL, id);
  return bytes;
}

export function encodeInquire(id: number, version: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(INQUIRE_BYTES);
  header(bytes, INQUIRE, id);
  bytes.set(version, 5);
  return bytes;
}

/** A piece of `block` from `offset` on, of at most `maxBytes`, its bytes not copied. */
export function encodePiece(
  id: number,
  block: Uint8Array,
  offset: number,
  maxBytes = MAX_PIECE_BYTES,
): Uint8ArrayList {
  const bytes = new Uint8Array(PIECE_HEADER_BYTES);
  const view = header(bytes, PIECE, id);
  view.setUint32(5, block.byteLength, true);
  view.setUint32(9, offset, true);
  return new Uint8ArrayList(bytes, block.subarray(offset, offset + maxBytes));
}

export function encodeFailed(id: number, failure: WireFailure): Uint8Array {
  const text = new TextEncoder().encode(failure.message.slice(0, MAX_REMOTE_TEXT));
  const bytes = new Uint8Array(10 + text.byteLength);
  const view = header(bytes, FAILED, id);
  view.setUint8(5, failure.status);
  view.setUint32(6, Math.min(failure.afterMs ?? NO_DELAY, NO_DELAY), true);
  bytes.set(text, 10);
  return bytes;
}

export function encodeHoldings(id: number, { whole, count, has, coming }: Holdings): Uint8Array {
  const bits = bitBytes(count);
  const bytes = new Uint8Array(HOLDINGS_HEADER_BYTES + 2 * bits);
  const view = header(bytes, HOLDINGS, id);
  view.setUint8(5, whole ? 1 : 0);
  view.setUint32(6, count, true);
  bytes.set(has, HOLDINGS_HEADER_BYTES);
  bytes.set(coming, HOLDINGS_HEADER_BYTES + bits);
  return bytes;
}

/**
 * Reads what an asker sent.
 *
 * @throws {ERR_INVALID_MESSAGE} when it is not a request of this protocol.
 */
export function decodeRequest(message: Uint8ArrayList): TransferRequest {
  const { type, id } = readHeader(message);
  if (type === WANT && message.byteLength === 9 + DIGEST_BYTES) {
    const maxBytes = message.getUint32(5, true);
    return { type: 'want', id, maxBytes, digest: message.slice(9) };
  }
  if (type === CANCEL && message.byteLength === 5) return { type: 'cancel', id };
  if (type === INQUIRE && message.byteLength === INQUIRE_BYTES) {
    return { type: 'inquire', id, version: message.slice(5) };
  }
  throw new InvalidMessageError(
    `transfer request has type ${type} and ${message.byteLength} bytes, expected a want of ${9 + DIGEST_BYTES}, a cancel of 5 or an inquiry of ${INQUIRE_BYTES}`,
  );
}

/**
 * Reads what a server sent.
 *
 * @throws {ERR_INVALID_MESSAGE} when it is not an answer of this protocol.
 */
export function decodeAnswer(message: Uint8ArrayList): TransferAnswer {
  const { type, id } = readHeader(message);
  if (type === PIECE && message.byteLength >= PIECE_HEADER_BYTES) {
    return {
      type: 'piece',
      id,
      totalBytes: message.getUint32(5, true),
      offset: message.getUint32(9, true),
      data: message.sublist(PIECE_HEADER_BYTES),
    };
  }
  if (type === FAILED && message.byteLength >= 10) {
    const afterMs = message.getUint32(6, true);
    const text = new TextDecoder().decode(message.subarray(10));
    const failure = {
      status: message.get(5),
      message: text.slice(0, MAX_REMOTE_TEXT),
      afterMs: afterMs === NO_DELAY ? null : afterMs,
    };
    return { type: 'failed', id, failure };
  }
  if (type === HOLDINGS && message.byteLength >= HOLDINGS_HEADER_BYTES) {
    return { type: 'holdings', id, holdings: decodeHoldings(message) };
  }
  throw new InvalidMessageError(
    `transfer answer has type ${type} and ${message.byteLength} bytes, expected a piece, a failure or holdings`,
  );
}

function decodeHoldings(message: Uint8ArrayList): Holdings {
  const flag = message.get(5);
  const count = message.getUint32(6, true);
  const bits = bitBytes(count);
  if (flag > 1 || count > MAX_HOLDING_CHUNKS || (flag === 1 && count > 0)) {
    throw new InvalidMessageError(
      `transfer holdings have flag ${flag} and ${count} chunks, expected 0 with at most ${MAX_HOLDING_CHUNKS}, or 1 with none`,
    );
  }
  if (message.byteLength !== HOLDINGS_HEADER_BYTES + 2 * bits) {
    throw new InvalidMessageError(
      `transfer holdings of ${count} chunks have ${message.byteLength} bytes, expected ${HOLDINGS_HEADER_BYTES + 2 * bits}`,
    );
  }
  return {
    whole: flag === 1,
    count,
    has: message.slice(HOLDINGS_HEADER_BYTES, HOLDINGS_HEADER_BYTES + bits),
    coming: message.slice(HOLDINGS_HEADER_BYTES + bits),
  };
}

function header(bytes: Uint8Array, type: number, id: number): DataView {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint8(0, type);
  view.setUint32(1, id, true);
  return view;
}

function readHeader(message: Uint8ArrayList): { type: number; id: number } {
  if (message.byteLength < 5) {
    throw new InvalidMessageError(
      `transfer message has ${message.byteLength} bytes, expected at least 5`,
    );
  }
  return { type: message.get(0), id: message.getUint32(1, true) };
}
