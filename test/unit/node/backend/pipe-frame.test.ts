import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodePipeHeader,
  encodePipeHeader,
  PIPE_HEADER_BYTES,
  PipeFrameDecoder,
} from '../../../../node/backend/pipe-frame.ts';

const frame = (type: number, id: number, payload: Uint8Array) =>
  Buffer.concat([encodePipeHeader(type, id, payload.byteLength), payload]);

describe('encodePipeHeader', () => {
  test('is the length of what follows, the type and the id, little-endian', () => {
    expect([...encodePipeHeader(3, 0x01020304, 7)]).toEqual([12, 0, 0, 0, 3, 4, 3, 2, 1]);
    expect(decodePipeHeader(encodePipeHeader(3, 0x01020304, 7), 7)).toEqual({
      type: 3,
      id: 0x01020304,
      payloadBytes: 7,
    });
  });
});

describe('decodePipeHeader', () => {
  test('refuses a payload one byte over the bound, and a length that does not cover type and id', () => {
    expect(() => decodePipeHeader(encodePipeHeader(2, 1, 101), 100)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_MESSAGE' }),
    );
    expect(() => decodePipeHeader(new Uint8Array(PIPE_HEADER_BYTES), 100)).toThrow(
      'frame of -5 bytes from a model’s process, expected 0 to 100'.replace('’', "'"),
    );
  });
});

describe('PipeFrameDecoder', () => {
  test('finds the frames again however the stream is cut', () => {
    const frames = fc.array(
      fc.record({
        type: fc.nat(255),
        id: fc.nat(2 ** 32 - 1),
        payload: fc.uint8Array({ maxLength: 40 }),
      }),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 30 })), (sent, cuts) => {
        const stream = Buffer.concat(sent.map(({ type, id, payload }) => frame(type, id, payload)));
        const decoder = new PipeFrameDecoder(40);
        const found = [];
        let offset = 0;
        for (const cut of [...cuts, stream.byteLength]) {
          found.push(...decoder.push(stream.subarray(offset, offset + cut)));
          offset += cut;
        }
        expect(found.map(({ type, id, payload }) => ({ type, id, payload: [...payload] }))).toEqual(
          sent.map(({ type, id, payload }) => ({ type, id, payload: [...payload] })),
        );
      }),
    );
  });

  test('gives each body memory of its own, so that typed arrays over it are aligned', () => {
    const decoder = new PipeFrameDecoder(100);
    const stream = Buffer.concat([frame(1, 1, Buffer.alloc(3)), frame(1, 2, Buffer.alloc(8))]);
    const bodies = decoder.push(stream).map(({ payload }) => payload);
    expect(bodies.map(({ byteOffset }) => byteOffset)).toEqual([0, 0]);
    expect(bodies.map(({ buffer }) => buffer.byteLength)).toEqual([3, 8]);
  });

  test('refuses a frame over the bound as soon as its header is there', () => {
    const decoder = new PipeFrameDecoder(10);
    expect(() => decoder.push(encodePipeHeader(1, 1, 11))).toThrow('frame of 11 bytes');
    expect(new PipeFrameDecoder(11).push(encodePipeHeader(1, 1, 11))).toEqual([]);
  });
});
