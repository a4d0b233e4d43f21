import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader } from '../../../../protocols/codec/byte-reader.ts';
import { ByteWriter } from '../../../../protocols/codec/byte-writer.ts';
import { toHex } from '../../../support/hex.ts';

function written(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter();
  write(writer);
  expect(writer.byteLength).toBe(writer.bytes.byteLength);
  return writer.bytes;
}

describe('ByteWriter', () => {
  it.each([
    [0, '00'],
    [127, '7f'],
    [128, '8001'],
    [300, 'ac02'],
    [2 ** 31 - 1, 'ffffffff07'],
    [2 ** 31, '8080808008'],
    [2 ** 32 + 1, '8180808010'],
    [Number.MAX_SAFE_INTEGER, 'ffffffffffffff0f'],
  ])('writes %d as LEB128', (value, bytes) => {
    expect(toHex(written((writer) => writer.varint(value)))).toBe(bytes);
  });

  it('writes a text after the number of its bytes', () => {
    expect(toHex(written((writer) => writer.text('aü')))).toBe('0361c3bc');
    expect(toHex(written((writer) => writer.text('')))).toBe('00');
  });

  it.each([
    ['nothing but ASCII, of one length byte', 'x'.repeat(127)],
    ['nothing but ASCII, of two', 'x'.repeat(128)],
    ['another character at its end', `${'x'.repeat(126)}ü`],
    ['bytes that are no UTF-16 of their own', '\ud800'],
  ])('writes a text with %s as UTF-8', (_, text) => {
    const utf8 = Buffer.from(text, 'utf8');
    const bytes = written((writer) => writer.text(text));
    expect(toHex(bytes.subarray(-utf8.byteLength))).toBe(toHex(utf8));
    expect(bytes.byteLength).toBe(utf8.byteLength + (utf8.byteLength > 127 ? 2 : 1));
  });

  it('grows as far as it must', () => {
    const long = 'x'.repeat(100_000);
    const bytes = written((writer) => {
      writer.text(long);
      for (let index = 0; index < 1_000; index += 1) writer.uint8(index & 0xff);
    });
    expect(bytes.byteLength).toBe(3 + 100_000 + 1_000);
    expect([...bytes.subarray(-3)]).toEqual([229, 230, 231]);
  });

  it('is read back by ByteReader, whatever was written', () => {
    const field = fc.oneof(
      fc.record({ kind: fc.constant('uint8' as const), value: fc.nat(255) }),
      fc.record({ kind: fc.constant('varint' as const), value: fc.maxSafeNat() }),
      fc.record({ kind: fc.constant('text' as const), value: fc.string({ unit: 'grapheme' }) }),
    );
    fc.assert(
      fc.property(fc.array(field), (fields) => {
        const bytes = written((writer) => {
          for (const { kind, value } of fields) {
            if (kind === 'text') writer.text(value);
            else writer[kind](value);
          }
        });
        const reader = new ByteReader(bytes, 'message');
        const read = fields.map(({ kind }) =>
          kind === 'text' ? reader.text('f', 1e6) : reader[kind]('f'),
        );
        expect(read).toEqual(fields.map(({ value }) => value));
        expect(reader.left).toBe(0);
      }),
    );
  });
});
