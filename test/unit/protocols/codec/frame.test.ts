import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFrameHeader, type Frame, FrameDecoder } from '../../../../protocols/codec/frame.ts';
import { toHex } from '../../../support/hex.ts';
import { frameVectors, refusedFrames } from '../../../vectors/frame.ts';

/** Frames that a decoder finds in bytes that come in pieces, each payload copied as a receiver must. */
function decode(pieces: Iterable<Uint8Array>): { frames: Frame[]; partial: boolean } {
  const frames: Frame[] = [];
  const decoder = new FrameDecoder(({ type, id, payload }) => {
    frames.push({ type, id, payload: new Uint8Array(payload) });
  });
  for (const piece of pieces) decoder.push(piece);
  return { frames, partial: decoder.partial };
}

function encode({ type, id, payload }: Frame): Uint8Array {
  return Buffer.concat([encodeFrameHeader(type, id, payload.byteLength), payload]);
}

describe('FrameDecoder', () => {
  it.each(frameVectors)('reads a frame: $name', ({ bytes, frame }) => {
    expect(decode([bytes])).toEqual({ frames: [frame], partial: false });
  });

  it.each(refusedFrames)('refuses a frame: $name', ({ bytes, message }) => {
    expect(() => decode([bytes])).toThrow(message);
    // Also when the length comes a byte at a time: nothing is allocated for what it says.
    expect(() => decode(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_MESSAGE' }),
    );
  });

  it('refuses a length that is too large before the rest of the header came', () => {
    expect(() => decode([Uint8Array.of(0xff, 0xff, 0xff, 0x7f)])).toThrow(
      /frame has 2147483651 bytes/,
    );
  });

  it.each(frameVectors)('waits at every cut of a frame: $name', ({ bytes, frame }) => {
    for (let length = 1; length < bytes.byteLength; length += length < 32 ? 1 : 32_749) {
      const [head, tail] = [bytes.subarray(0, length), bytes.subarray(length)];
      expect(decode([head])).toEqual({ frames: [], partial: true });
      expect(decode([head, tail])).toEqual({ frames: [frame], partial: false });
    }
  });

  it('finds the same frames however their bytes are cut', () => {
    const frame = fc.record({
      type: fc.integer({ min: 0, max: 255 }),
      id: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      payload: fc.uint8Array({ maxLength: 40 }),
    });
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 8 }),
        fc.array(fc.nat({ max: 400 }), { maxLength: 12 }),
        (frames, cuts) => {
          const bytes = Buffer.concat(frames.map(encode));
          const edges = [
            0,
            ...cuts.map((cut) => Math.min(cut, bytes.byteLength)),
            bytes.byteLength,
          ];
          edges.sort((a, b) => a - b);
          const pieces = edges.slice(1).map((end, index) => bytes.subarray(edges[index], end));
          const found = decode(pieces);
          expect(found.partial).toBe(false);
          expect(found.frames).toEqual(
            frames.map((sent) => ({ ...sent, payload: new Uint8Array(sent.payload) })),
          );
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('encodeFrameHeader', () => {
  it.each(frameVectors)('writes what precedes a payload: $name', ({ bytes, frame }) => {
    const header = encodeFrameHeader(frame.type, frame.id, frame.payload.byteLength);
    expect(toHex(header)).toBe(toHex(bytes.subarray(0, 9)));
  });
});
