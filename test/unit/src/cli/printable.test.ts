import { assert, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printable, shortId } from '../../../../src/cli/printable.ts';

describe('printable', () => {
  it.each([
    ['an escape that would clear the screen', 'a\u001B[2Jb', 'a\uFFFD[2Jb'],
    ['a carriage return and a line end', 'a\r\nb', 'a b'],
    ['a mark that turns the direction of text', 'a\u202Eb', 'a\uFFFDb'],
    ['letters beyond ASCII as they are', 'žluťoučký 猫 🙂', 'žluťoučký 猫 🙂'],
  ])('shows %s', (_, text, shown) => expect(printable(text)).toBe(shown));

  it('keeps text of the limit whole and cuts one character more', () => {
    expect(printable('a'.repeat(10), 10)).toBe('a'.repeat(10));
    expect(printable('a'.repeat(11), 10)).toBe(`${'a'.repeat(9)}…`);
  });

  it('leaves no control character of any text', () => {
    assert(
      property(string({ unit: 'binary' }), (text) => {
        expect(printable(text)).not.toMatch(/[\p{Cc}]/u);
      }),
    );
  });
});

describe('shortId', () => {
  it('keeps both ends of a long id and a short one whole', () => {
    expect(shortId('12D3KooWGUNKy1gZGogRpZ4aGk51htsrmC2HmxoNueEhU8B3nAbD')).toBe('12D3KooW…B3nAbD');
    expect(shortId('node-1')).toBe('node-1');
  });
});
