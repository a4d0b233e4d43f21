import { describe, expect, it } from 'vitest';
import {
  decodeCredit,
  decodeFailure,
  decodeRequest,
  decodeResponse,
  encodeCredit,
  encodeFailure,
  encodeRequest,
  encodeResponse,
} from '../../../../protocols/inference/message.ts';
import type { VersionCid } from '../../../../protocols/types.ts';
import { toHex } from '../../../support/hex.ts';
import {
  type InferenceVector,
  type RefusedVector,
  refusedRequests,
  requestVectors,
} from '../../../vectors/inference.ts';
import {
  creditVectors,
  failureVectors,
  refusedCredits,
  refusedFailures,
  refusedResponses,
  responseVectors,
} from '../../../vectors/inference-answer.ts';

interface Codec<Message> {
  readonly encode: (message: Message) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => { readonly message: Message; readonly body: Uint8Array };
  readonly vectors: readonly InferenceVector<Message>[];
  readonly refused: readonly RefusedVector[];
}

function describeCodec<Message>(name: string, codec: Codec<Message>): void {
  const { encode, decode, vectors, refused } = codec;
  const headerOf = ({ bytes, body = '' }: InferenceVector<Message>): Uint8Array =>
    bytes.subarray(0, bytes.byteLength - body.length / 2);

  describe(`An inference ${name}`, () => {
    it.each(vectors)('reads $name', (vector) => {
      const { message, body } = decode(vector.bytes);
      expect(message).toEqual(vector.message);
      expect(toHex(body)).toBe(vector.body ?? '');
    });

    it.each(vectors.filter(({ readOnly }) => readOnly !== true))('writes $name', (vector) => {
      expect(toHex(encode(vector.message))).toBe(toHex(headerOf(vector)));
    });

    it.each(refused)('refuses $name', ({ bytes, message }) => {
      expect(() => decode(bytes)).toThrow(message);
      expect(() => decode(bytes)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_MESSAGE' }));
    });

    // The long ones are cut at their ends only: between, one cut is like the next.
    it.each(vectors)('refuses $name at every cut of its header', (vector) => {
      const header = headerOf(vector);
      for (let length = 0; length < header.byteLength; length += 1) {
        if (length > 256 && length < header.byteLength - 256) continue;
        expect(() => decode(header.subarray(0, length)), `${length} bytes`).toThrow(
          expect.objectContaining({ code: 'ERR_INVALID_MESSAGE' }),
        );
      }
    });
  });
}

describeCodec('request', {
  encode: encodeRequest,
  decode: (bytes) => {
    const { header, inlineBody } = decodeRequest(bytes);
    return { message: header, body: inlineBody };
  },
  vectors: requestVectors,
  refused: refusedRequests,
});

describeCodec('response', {
  encode: encodeResponse,
  decode: (bytes) => {
    const { header, inlineBody } = decodeResponse(bytes);
    return { message: header, body: inlineBody };
  },
  vectors: responseVectors,
  refused: refusedResponses,
});

describeCodec('failure', {
  encode: encodeFailure,
  decode: (bytes) => ({ message: decodeFailure(bytes), body: new Uint8Array() }),
  vectors: failureVectors,
  refused: refusedFailures,
});

describeCodec('credit', {
  encode: encodeCredit,
  decode: (bytes) => ({ message: decodeCredit(bytes), body: new Uint8Array() }),
  vectors: creditVectors,
  refused: refusedCredits,
});

describe('encodeRequest', () => {
  const smallest = requestVectors[0]?.message ?? expect.fail('no vector');
  const written = (changes: Partial<typeof smallest>) =>
    decodeRequest(encodeRequest({ ...smallest, ...changes })).header;
  const input = { name: 'x', datatype: 'BOOL', shape: [], byteLength: 1 } as const;

  it('keeps a deadline within what a node reads', () => {
    expect(written({ deadlineMs: 0.2 }).deadlineMs).toBe(1);
    expect(written({ deadlineMs: -5 }).deadlineMs).toBe(1);
    expect(written({ deadlineMs: 1.6 }).deadlineMs).toBe(2);
    expect(written({ deadlineMs: 1e12 }).deadlineMs).toBe(86_400_000);
  });

  it('writes no more outputs than a node reads', () => {
    const outputs = (length: number) => Array.from({ length }, (_, index) => `o${index}`);
    expect(written({ outputs: outputs(1024) }).outputs).toHaveLength(1024);
    expect(() => written({ outputs: outputs(1025) })).toThrow(
      '1025 tensors, expected at most 1024',
    );
  });

  it('writes no more inputs than a node reads', () => {
    const inputs = (length: number) => Array.from({ length }, () => input);
    expect(written({ inputs: inputs(1024) }).inputs).toHaveLength(1024);
    expect(() => written({ inputs: inputs(1025) })).toThrow(
      expect.objectContaining({ code: 'ERR_LIMIT' }),
    );
  });

  it('counts the bytes of a name, not its characters', () => {
    // 'é' has two bytes.
    expect(written({ inputs: [{ ...input, name: 'é'.repeat(32_768) }] }).inputs).toHaveLength(1);
    expect(() => written({ inputs: [{ ...input, name: 'é'.repeat(32_769) }] })).toThrow(
      /has 65538 bytes, expected at most 65536/,
    );
    expect(() => written({ outputs: ['a'.repeat(65_537)] })).toThrow(/has 65537 bytes/);
  });

  it('writes no longer traceparent than a node reads', () => {
    expect(written({ traceparent: 'a'.repeat(128) }).traceparent).toHaveLength(128);
    expect(() => written({ traceparent: 'a'.repeat(129) })).toThrow('129 characters');
  });

  it('writes a version of any text', () => {
    expect(written({ version: 'é😀' as VersionCid }).version).toBe('é😀');
  });
});

describe('encodeFailure', () => {
  it('cuts a message to what a client reads, whatever its characters take', () => {
    for (const character of ['a', 'é', '€', '😀']) {
      const bytes = encodeFailure({
        failure: { status: 14, message: character.repeat(5_000), afterMs: null },
        load: { inFlight: 0, queued: 0, slots: 1, serviceMs: null },
      });
      expect(decodeFailure(bytes).failure.message).toHaveLength(512);
    }
  });
});
