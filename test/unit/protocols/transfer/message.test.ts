import fc from 'fast-check';
import { Uint8ArrayList } from 'uint8arraylist';
import { describe, expect, it } from 'vitest';
import { MAX_REMOTE_TEXT } from '../../../../protocols/limits.ts';
import { bitBytes, MAX_HOLDING_CHUNKS } from '../../../../protocols/transfer/index.ts';
import {
  decodeAnswer,
  decodeRequest,
  encodeCancel,
  encodeFailed,
  encodeHoldings,
  encodeInquire,
  encodePiece,
  encodeWant,
  MAX_ANSWER_MESSAGE_BYTES,
  MAX_BLOCK_BYTES,
  MAX_PIECE_BYTES,
  MAX_REQUEST_MESSAGE_BYTES,
  type TransferAnswer,
  type TransferRequest,
} from '../../../../protocols/transfer/message.ts';
import { toHex } from '../../../support/hex.ts';
import { refusal } from '../../../support/refusal.ts';
import {
  answerVectors,
  refusedAnswers,
  refusedRequests,
  requestVectors,
} from '../../../vectors/transfer.ts';

/** Cut in two, as a message is that came in two packets. */
function inParts(bytes: Uint8Array): Uint8ArrayList {
  const middle = bytes.byteLength >> 1;
  return new Uint8ArrayList(bytes.subarray(0, middle), bytes.subarray(middle));
}

function encodeRequest(request: TransferRequest): Uint8Array {
  if (request.type === 'want') return encodeWant(request.id, request.maxBytes, request.digest);
  if (request.type === 'inquire') return encodeInquire(request.id, request.version);
  return encodeCancel(request.id);
}

/** A piece ends with its block here: the encoder cuts longer blocks itself. */
function encodeAnswer(answer: TransferAnswer): Uint8Array {
  if (answer.type === 'failed') return encodeFailed(answer.id, answer.failure);
  if (answer.type === 'holdings') return encodeHoldings(answer.id, answer.holdings);
  const block = new Uint8Array(answer.totalBytes);
  block.set(answer.data.subarray(), answer.offset);
  return encodePiece(answer.id, block, answer.offset).subarray();
}

/** Two lists of the same bytes differ by how they are cut. */
function comparable(answer: TransferAnswer): unknown {
  return answer.type === 'piece' ? { ...answer, data: toHex(answer.data.subarray()) } : answer;
}

describe('transfer requests', () => {
  it.each(requestVectors)('are $name both ways', ({ bytes, request }) => {
    expect(toHex(encodeRequest(request))).toBe(toHex(bytes));
    expect(decodeRequest(new Uint8ArrayList(bytes))).toEqual(request);
    expect(decodeRequest(inParts(bytes))).toEqual(request);
    expect(bytes.byteLength).toBeLessThanOrEqual(MAX_REQUEST_MESSAGE_BYTES);
  });

  it.each(refusedRequests)('are not $name', ({ bytes, message }) => {
    expect(() => decodeRequest(new Uint8ArrayList(bytes))).toThrow(
      refusal('ERR_INVALID_MESSAGE', new RegExp(message)),
    );
  });
});

describe('transfer answers', () => {
  it.each(answerVectors)('are $name both ways', ({ bytes, answer }) => {
    expect(toHex(encodeAnswer(answer))).toBe(toHex(bytes));
    expect(comparable(decodeAnswer(inParts(bytes)))).toEqual(comparable(answer));
  });

  it.each(refusedAnswers)('are not $name', ({ bytes, message }) => {
    expect(() => decodeAnswer(new Uint8ArrayList(bytes))).toThrow(
      refusal('ERR_INVALID_MESSAGE', new RegExp(message)),
    );
  });

  it('encodePiece cuts a block into pieces that are within the bound and make it up again', () => {
    const block = new Uint8Array(MAX_BLOCK_BYTES).fill(7);
    let received = 0;
    for (; received < block.byteLength; ) {
      const message = encodePiece(1, block, received);
      expect(message.byteLength).toBeLessThanOrEqual(MAX_ANSWER_MESSAGE_BYTES);
      const piece = decodeAnswer(message);
      expect(piece).toMatchObject({ totalBytes: MAX_BLOCK_BYTES, offset: received });
      received += message.byteLength - 13;
    }
    expect(received).toBe(MAX_BLOCK_BYTES);
    expect(MAX_BLOCK_BYTES % MAX_PIECE_BYTES).toBe(0);
  });

  it('holdings of the most chunks that may be told of are within the bound', () => {
    const has = new Uint8Array(bitBytes(MAX_HOLDING_CHUNKS)).fill(0xff);
    const holdings = { whole: false, count: MAX_HOLDING_CHUNKS, has, coming: has };
    const bytes = encodeHoldings(1, holdings);
    expect(bytes.byteLength).toBeLessThanOrEqual(MAX_ANSWER_MESSAGE_BYTES);
    const answer = decodeAnswer(new Uint8ArrayList(bytes));
    expect(answer).toMatchObject({ type: 'holdings', holdings: { count: MAX_HOLDING_CHUNKS } });
  });

  it('encodeFailed keeps as much of a long text as the bound allows, and no delay above what fits', () => {
    const message = 'ż'.repeat(MAX_REMOTE_TEXT + 1);
    const bytes = encodeFailed(1, { status: 8, message, afterMs: 2 ** 40 });
    expect(decodeAnswer(new Uint8ArrayList(bytes))).toMatchObject({
      failure: { message: message.slice(1), afterMs: null },
    });
  });

  it('decodeAnswer and decodeRequest give a message or ERR_INVALID_MESSAGE for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        for (const decode of [decodeAnswer, decodeRequest]) {
          try {
            decode(new Uint8ArrayList(bytes));
          } catch (error) {
            if ((error as { code?: unknown }).code !== 'ERR_INVALID_MESSAGE') throw error;
          }
        }
      }),
    );
  });
});
