import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader } from '../../../../protocols/codec/byte-reader.ts';
import { isSwarmError } from '../../../../protocols/errors.ts';
import { hex } from '../../../support/hex.ts';
import { refusal } from '../../../support/refusal.ts';

const reader = (bytes: Uint8Array): ByteReader => new ByteReader(bytes, 'header');

describe('ByteReader', () => {
  it('reads on from where it stopped and knows what is left', () => {
    const bytes = reader(hex('05 ac02 03616263 ffee'));
    expect([bytes.uint8('a'), bytes.varint('b'), bytes.text('c', 3), bytes.left]).toEqual([
      5,
      300,
      'abc',
      2,
    ]);
    expect([...bytes.take('d', 2)]).toEqual([255, 238]);
    expect(bytes.left).toBe(0);
  });

  it('reads a view, not the memory around it', () => {
    const bytes = reader(hex('ff 0161 ff').subarray(1, 3));
    expect(bytes.text('a', 1)).toBe('a');
    expect(() => bytes.uint8('b')).toThrow('header ends inside b: it has 2 bytes');
  });

  it.each<[what: string, bytes: string, read: (from: ByteReader) => unknown, message: string]>([
    ['a byte', '', (from) => from.uint8('kind'), 'header ends inside kind: it has 0 bytes'],
    ['a varint', '8080', (from) => from.varint('id'), 'header ends inside id: it has 2 bytes'],
    ['a text', '0361', (from) => from.text('name', 9), 'header ends inside name: it has 2 bytes'],
    ['bytes', '01', (from) => from.take('data', 2), 'header ends inside data: it has 1 bytes'],
  ])('names the field when %s is cut off', (_what, bytes, read, message) => {
    expect(() => read(reader(hex(bytes)))).toThrow(refusal('ERR_INVALID_MESSAGE', message));
  });

  it('passes over bytes that are as expected, and over nothing else', () => {
    const bytes = reader(hex('00 010203 04'));
    bytes.uint8('a');
    expect(bytes.skip(hex('0102ff'))).toBe(false);
    expect(bytes.skip(hex('0102030405'))).toBe(false);
    expect(bytes.offset).toBe(1);
    expect(bytes.skip(hex('010203'))).toBe(true);
    expect([bytes.offset, bytes.uint8('b')]).toEqual([4, 4]);
    expect([...bytes.readSince(3)]).toEqual([3, 4]);
  });

  it('takes a varint up to its bound and refuses one more', () => {
    expect(reader(hex('ac02')).varint('count', 300)).toBe(300);
    expect(() => reader(hex('ac02')).varint('count', 299)).toThrow(
      refusal('ERR_INVALID_MESSAGE', 'header: count is 300, expected at most 299'),
    );
  });

  it('takes 2^53 − 1 and refuses what a number cannot hold', () => {
    expect(reader(hex('ffffffffffffff0f')).varint('n')).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => reader(hex('8080808080808010')).varint('n')).toThrow('expected at most');
    expect(() => reader(hex('808080808080808001')).varint('n')).toThrow(
      refusal('ERR_INVALID_MESSAGE', 'header: n is longer than 8 bytes'),
    );
  });

  it('takes a text up to its bound and refuses one byte more before it looks for it', () => {
    expect(reader(hex('03616263')).text('name', 3)).toBe('abc');
    expect(() => reader(hex('04')).text('name', 3)).toThrow(
      'header: length of name is 4, expected at most 3',
    );
  });

  it('only ever throws ERR_INVALID_MESSAGE, whatever the bytes', () => {
    const step = fc.constantFrom<(from: ByteReader) => unknown>(
      (from) => from.uint8('f'),
      (from) => from.varint('f', 1000),
      (from) => from.text('f', 20),
      (from) => from.take('f', 3),
    );
    fc.assert(
      fc.property(fc.uint8Array(), fc.array(step), (bytes, steps) => {
        const from = reader(bytes);
        let thrown: unknown;
        try {
          for (const read of steps) read(from);
        } catch (error) {
          thrown = isSwarmError(error) ? error.code : error;
        }
        expect([undefined, 'ERR_INVALID_MESSAGE']).toContain(thrown);
        expect(from.left).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
