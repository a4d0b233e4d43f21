import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HEADROOM_BYTES } from '../../../../protocols/codec/direct-lane.ts';
import { encodeFrameHeader } from '../../../../protocols/codec/frame.ts';
import { FrameBatch } from '../../../../protocols/codec/frame-batch.ts';

const KIB = 1024;

interface SentFrame {
  readonly id: number;
  readonly payload: readonly Uint8Array[];
}

/** What frames are on the wire, each put together by itself. */
function wireOf(frames: readonly SentFrame[]): Buffer {
  return Buffer.concat(
    frames.flatMap(({ id, payload }) => {
      const bytes = payload.reduce((sum, { byteLength }) => sum + byteLength, 0);
      return [encodeFrameHeader(2, id, bytes), ...payload];
    }),
  );
}

/** A batch whose next frames find most of a slab before them: the slab is everybody's, and ends wherever others have left it. */
function batchWithRoom(): FrameBatch {
  const batch = new FrameBatch();
  for (;;) {
    batch.add(1, 0, [Buffer.alloc(4 * KIB)]);
    const [piece, ...more] = batch.take();
    if (piece !== undefined && more.length === 0 && piece.byteOffset < 8 * KIB) return batch;
  }
}

const payloads = fc.array(
  fc.integer({ min: 0, max: 9 * KIB }).map((bytes) => Buffer.alloc(bytes, bytes)),
  { maxLength: 3 },
);

describe('FrameBatch', () => {
  it('keeps the bytes of all frames in order, whatever other batches write between', () => {
    const writes = fc.array(fc.record({ batch: fc.nat(1), payload: payloads }), { maxLength: 60 });
    fc.assert(
      fc.property(writes, (written) => {
        const batches = [new FrameBatch(), new FrameBatch()];
        const sent: SentFrame[][] = [[], []];
        for (const [id, { batch, payload }] of written.entries()) {
          batches[batch]?.add(2, id, payload);
          sent[batch]?.push({ id, payload });
        }
        for (const [index, batch] of batches.entries()) {
          const expected = wireOf(sent[index] ?? []);
          expect(batch.byteLength).toBe(expected.byteLength);
          expect(Buffer.concat(batch.take()).equals(expected)).toBe(true);
          expect([batch.byteLength, batch.take()]).toEqual([0, []]);
        }
      }),
    );
  });

  it('leaves a headroom before the first piece that is nobody’s', () => {
    const batches = [new FrameBatch(), new FrameBatch()];
    const taken = Array.from({ length: 400 }, (_, id) => {
      const payload = [Buffer.alloc(200, id)];
      const batch = batches[id % 2] as FrameBatch;
      batch.add(2, id, payload);
      return { expected: wireOf([{ id, payload }]), pieces: batch.take() };
    });
    for (const { pieces } of taken) {
      const [first] = pieces;
      if (first === undefined) throw new Error('expected a piece, found none');
      Buffer.from(first.buffer, first.byteOffset - HEADROOM_BYTES, HEADROOM_BYTES).fill(0xff);
    }
    for (const { expected, pieces } of taken) {
      expect(Buffer.concat(pieces).equals(expected)).toBe(true);
    }
  });

  it('copies small pieces into one and refers to a tensor', () => {
    const batch = batchWithRoom();
    const tensor = Buffer.alloc(64 * KIB);
    for (let id = 1; id <= 8; id += 1) batch.add(1, id, [Buffer.alloc(100)]);
    batch.add(2, 9, [tensor]);
    const pieces = batch.take();
    expect(pieces).toHaveLength(2);
    expect(pieces[1]).toBe(tensor);
  });

  it('takes a piece of 4 KiB for small, and one byte more not', () => {
    const batch = batchWithRoom();
    batch.add(1, 1, [Buffer.alloc(4 * KIB)]);
    expect(batch.take()).toHaveLength(1);
    batch.add(1, 1, [Buffer.alloc(4 * KIB + 1)]);
    expect(batch.take()).toHaveLength(2);
  });
});
