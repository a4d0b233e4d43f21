import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSwarmError } from '../../../../protocols/errors.ts';
import { type ByteSource, memorySource } from '../../../../src/model/byte-source.ts';
import { walkMessage } from '../../../../src/model/protobuf-reader.ts';
import {
  integer,
  type MessageSchema,
  message,
  messageSchema,
  span,
  text,
} from '../../../../src/model/protobuf-schema.ts';
import { encodeVarint, ProtobufWriter } from '../../../support/protobuf-writer.ts';

interface Seen {
  readonly integers: number[];
  readonly texts: string[];
  readonly spans: [offset: number, length: number][];
  readonly inner: Seen[];
}

const seen = (): Seen => ({ integers: [], texts: [], spans: [], inner: [] });

const SCHEMA: MessageSchema<Seen> = messageSchema<Seen>({
  1: integer((target, value) => target.integers.push(value)),
  2: text(16, (target, value) => target.texts.push(value)),
  3: span((target, offset, length) => target.spans.push([offset, length])),
  4: message(
    () => SCHEMA,
    () => seen(),
    (target, inner) => target.inner.push(inner),
  ),
  5: text(16, (target, value) => target.texts.push(value), 'skip'),
});

async function walk(source: Uint8Array | ByteSource): Promise<Seen> {
  const target = seen();
  const bytes = source instanceof Uint8Array ? memorySource(source) : source;
  await walkMessage(bytes, SCHEMA, target, { fileName: 'm.onnx' });
  return target;
}

const write = (): ProtobufWriter => new ProtobufWriter();

describe('walkMessage', () => {
  it('collects what the schema names and passes over the rest', async () => {
    const inner = write().varint(1, 7).bytes(2, 'in').finish();
    const bytes = write()
      .varint(1, 1)
      .float(9, 1.5)
      .bytes(9, 'unknown')
      .bytes(2, 'out')
      .bytes(4, inner)
      .bytes(3, 'weights')
      .finish();
    expect(await walk(bytes)).toEqual({
      integers: [1],
      texts: ['out'],
      spans: [[bytes.byteLength - 7, 7]],
      inner: [{ integers: [7], texts: ['in'], spans: [], inner: [] }],
    });
  });

  it('reads packed integers and negative ones', async () => {
    const packed = Buffer.concat([1n, 300n, -1n].map(encodeVarint));
    const bytes = write()
      .bytes(1, packed)
      .varint(1, -(2n ** 63n))
      .varint(1, 2n ** 53n - 1n)
      .finish();
    expect((await walk(bytes)).integers).toEqual([1, 300, -1, -(2 ** 63), 2 ** 53 - 1]);
  });

  it('reads any 64-bit integer as nearly as a number can say it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), async (value) => {
        const [read] = (await walk(write().varint(1, value).finish())).integers;
        const error = Number.isSafeInteger(Number(value)) ? 0 : 2 ** 11;
        expect(Math.abs((read ?? Number.NaN) - Number(value))).toBeLessThanOrEqual(error);
      }),
    );
  });

  it('counts a field of another wire type than its rule’s as unknown', async () => {
    expect(await walk(write().bytes(4, '').float(1, 1).varint(2, 5).finish())).toEqual({
      ...seen(),
      inner: [seen()],
    });
  });

  it('reads the weights’ places without reading the weights', async () => {
    const head = write()
      .varint(1, 4)
      .header(3, 2 ** 40)
      .finish();
    const tail = write().bytes(2, 'after').finish();
    const end = head.byteLength + 2 ** 40;
    let bytesRead = 0;
    const source: ByteSource = {
      size: end + tail.byteLength,
      async read(offset, length) {
        bytesRead += length;
        const bytes = new Uint8Array(length);
        if (offset < head.byteLength) bytes.set(head.subarray(offset), 0);
        if (offset + length > end) bytes.set(tail.subarray(Math.max(0, offset - end)));
        return bytes;
      },
    };
    const target = await walk(source);
    expect(target.spans).toEqual([[head.byteLength, 2 ** 40]]);
    expect(target.texts).toEqual(['after']);
    expect(bytesRead).toBeLessThan(1_000_000);
  });

  it('takes text just within its bound and refuses, or skips, one byte more', async () => {
    expect((await walk(write().bytes(2, 'x'.repeat(16)).finish())).texts).toEqual(['x'.repeat(16)]);
    await expect(walk(write().bytes(2, 'x'.repeat(17)).finish())).rejects.toThrow(
      '17 bytes of text at byte 0, expected at most 16',
    );
    expect((await walk(write().bytes(5, 'x'.repeat(17)).varint(1, 1).finish())).integers).toEqual([
      1,
    ]);
  });

  it('takes 64 KiB of packed integers and refuses one more', async () => {
    expect((await walk(write().bytes(1, new Uint8Array(65_536)).finish())).integers).toHaveLength(
      65_536,
    );
    await expect(walk(write().bytes(1, new Uint8Array(65_537)).finish())).rejects.toThrow(
      '65537 bytes of integers at byte 0, expected at most 65536',
    );
  });

  it('follows 127 messages within the first and refuses one more', async () => {
    const nested = (levels: number): Uint8Array => {
      let bytes = write().varint(1, 1).finish();
      for (let level = 0; level < levels; level += 1) bytes = write().bytes(4, bytes).finish();
      return bytes;
    };
    await expect(walk(nested(127))).resolves.toBeDefined();
    await expect(walk(nested(128))).rejects.toThrow('messages nest deeper than 128 levels');
  });

  it.each([
    ['a field cut off within its value', Uint8Array.of(0x08, 0x80), 'past the end of the file'],
    ['a tag cut off', Uint8Array.of(0x80), 'past the end of the file'],
    ['text that ends past the file', write().header(2, 5).finish(), 'past the end of the file'],
    ['a fixed field cut off', Uint8Array.of(0x4d, 1, 2), 'past the end of the file'],
    [
      'a field that ends past its message',
      write().bytes(4, write().header(2, 9).finish()).bytes(9, 'xxxxxxxxxxx').finish(),
      'past the end of its message',
    ],
    ['field number 0', Uint8Array.of(0x00, 0x00), 'no field number'],
    ['a group', Uint8Array.of(0x0b), 'wire type 3, expected 0, 1, 2 or 5'],
    ['wire type 7', Uint8Array.of(0x0f), 'wire type 7'],
    [
      'an integer without end',
      Uint8Array.of(0x08, ...new Uint8Array(11).fill(0x80)),
      'longer than 10 bytes',
    ],
    [
      'a length beyond 2^53',
      Uint8Array.of(0x12, ...new Uint8Array(8).fill(0xff), 0x01),
      'past the end of the file',
    ],
    // 2^64 - 11: taken as negative it would lead back to its own tag, again and again.
    [
      'a length that leads backwards',
      Uint8Array.of(0x4a, ...encodeVarint(2n ** 64n - 11n)),
      'longer than 2^63 bytes',
    ],
  ])('refuses %s', async (_what, bytes, message) => {
    await expect(walk(bytes)).rejects.toMatchObject({
      code: 'ERR_INVALID_MODEL',
      message: expect.stringContaining(message),
    });
  });

  it('never crashes, hangs or throws anything but ERR_INVALID_MODEL on random bytes', async () => {
    // Random bytes alone soon fail; fields that are mostly right get deeper.
    const field = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc
        .tuple(fc.integer({ min: 0, max: 30 }), fc.nat(7), fc.uint8Array({ maxLength: 20 }))
        .map(([number, wireType, rest]) => Uint8Array.of(number * 8 + wireType, ...rest)),
      fc
        .tuple(fc.integer({ min: 1, max: 6 }), fc.bigInt({ min: -40n, max: 40n }))
        .map(([number, length]) => Uint8Array.of(number * 8 + 2, ...encodeVarint(length))),
      fc
        .tuple(fc.integer({ min: 1, max: 6 }), fc.uint8Array({ maxLength: 20 }))
        .map(([number, payload]) => write().bytes(number, payload).finish()),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(field, { maxLength: 20 }), async (fields) => {
        const code = await walk(Buffer.concat(fields)).then(
          () => undefined,
          (error: unknown) => (isSwarmError(error) ? error.code : error),
        );
        expect([undefined, 'ERR_INVALID_MODEL']).toContain(code);
      }),
      { numRuns: 3_000 },
    );
  });

  it('finds the same whatever sizes the reads come in', async () => {
    const inner = write().bytes(2, 'a').bytes(3, new Uint8Array(70_000)).varint(1, 300).finish();
    const bytes = write().bytes(4, inner).bytes(4, inner).bytes(2, 'b').finish();
    const whole = await walk(bytes);
    const reads: number[] = [];
    const source: ByteSource = {
      size: bytes.byteLength,
      async read(offset, length) {
        reads.push(length);
        return bytes.subarray(offset, offset + length);
      },
    };
    expect(await walk(source)).toEqual(whole);
    expect(reads.length).toBeGreaterThan(1);
    expect(whole.inner.map(({ spans }) => spans[0]?.[1])).toEqual([70_000, 70_000]);
  });

  it('stops when its signal says so', async () => {
    const reason = new Error('enough');
    const walking = walkMessage(memorySource(write().varint(1, 1).finish()), SCHEMA, seen(), {
      fileName: 'm.onnx',
      signal: AbortSignal.abort(reason),
    });
    await expect(walking).rejects.toBe(reason);
  });
});
