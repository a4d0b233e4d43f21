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

describe('FrameDecoder, of the memory of a payload', () => {
  it('calls its own what it put together, and nothing that lies in a chunk', () => {
    const found: { owned: boolean; shared: boolean }[] = [];
    const payload = Uint8Array.of(1, 2, 3);
    const bytes = Buffer.concat([encodeFrameHeader(1, 7, payload.byteLength), payload]);
    const chunk = new Uint8Array(bytes);
    const decoder = new FrameDecoder((frame) => {
      expect([...frame.payload]).toEqual([1, 2, 3]);
      found.push({ owned: frame.owned, shared: frame.payload.buffer === chunk.buffer });
    });
    decoder.push(chunk);
    decoder.push(chunk.subarray(0, 10));
    decoder.push(chunk.subarray(10));
    expect(found).toEqual([
      { owned: false, shared: true },
      { owned: true, shared: false },
    ]);
  });
});

describe('FrameDecoder, given a divisible type', () => {
  const DIVISIBLE = 2;

  /** Frames as they are handed out, the pieces of neighbours of one frame put together again. */
  function decodeDivided(pieces: Iterable<Uint8Array>): { frames: Frame[]; partial: boolean } {
    const frames: Frame[] = [];
    let open = false;
    const decoder = new FrameDecoder(({ type, id, payload }) => {
      const last = frames.at(-1);
      if (open && last !== undefined) {
        expect({ type, id }).toEqual({ type: last.type, id: last.id });
        frames[frames.length - 1] = { type, id, payload: Buffer.concat([last.payload, payload]) };
      } else {
        frames.push({ type, id, payload: Buffer.from(payload) });
      }
      open = decoder.partial;
    }, DIVISIBLE);
    for (const piece of pieces) decoder.push(piece);
    return { frames, partial: decoder.partial };
  }

  it('finds the same bytes in the same frames however they are cut', () => {
    const frame = fc.record({
      type: fc.constantFrom(1, DIVISIBLE),
      id: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      payload: fc.uint8Array({ maxLength: 40 }),
    });
    const cuts = fc.array(fc.nat({ max: 400 }), { maxLength: 12 });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), cuts, (frames, at) => {
        const bytes = Buffer.concat(frames.map(encode));
        const edges = [0, ...at.map((cut) => Math.min(cut, bytes.byteLength)), bytes.byteLength];
        edges.sort((a, b) => a - b);
        const pieces = edges.slice(1).map((end, index) => bytes.subarray(edges[index], end));
        expect(decodeDivided(pieces)).toEqual({
          frames: frames.map((sent) => ({ ...sent, payload: Buffer.from(sent.payload) })),
          partial: false,
        });
      }),
      { numRuns: 300 },
    );
  });

  it('hands a piece out when it comes, as what came and not a copy of it', () => {
    const sent = encode({ type: DIVISIBLE, id: 7, payload: Uint8Array.of(1, 2, 3, 4) });
    const found: Frame[] = [];
    const decoder = new FrameDecoder((frame) => found.push(frame), DIVISIBLE);
    decoder.push(sent.subarray(0, 11));
    expect(found.map(({ payload }) => [...payload])).toEqual([[1, 2]]);
    expect(found[0]?.payload.buffer).toBe(sent.buffer);
    expect(decoder.partial).toBe(true);
    decoder.push(sent.subarray(11));
    expect(found.map(({ payload }) => [...payload])).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(decoder.partial).toBe(false);
  });

  it.each(refusedFrames)('refuses a frame: $name', ({ bytes, message }) => {
    expect(() => decodeDivided([bytes])).toThrow(message);
  });
});

describe('encodeFrameHeader', () => {
  it.each(frameVectors)('writes what precedes a payload: $name', ({ bytes, frame }) => {
    const header = encodeFrameHeader(frame.type, frame.id, frame.payload.byteLength);
    expect(toHex(header)).toBe(toHex(bytes.subarray(0, 9)));
  });
});
