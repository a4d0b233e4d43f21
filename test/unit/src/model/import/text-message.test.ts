import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TextWriter } from '../../../../../src/model/export/text-writer.ts';
import {
  parseTextMessage,
  type TextField,
  type TextValue,
} from '../../../../../src/model/import/text-message.ts';
import { TextSource } from '../../../../../src/model/import/text-token.ts';

const parse = (text: string): readonly TextField[] =>
  parseTextMessage(new TextSource('config.pbtxt', text));

/** Fields as plain data: a value's text, or the fields of a message. */
function plain(fields: readonly TextField[]): unknown[] {
  const value = (v: TextValue): unknown => (v.kind === 'message' ? plain(v.fields) : v.text);
  return fields.map(({ name, values }) => [name, ...values.map(value)]);
}

const faultOf = (text: string): string => {
  try {
    parse(text);
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_INVALID_MODEL', details: { file: 'config.pbtxt' } });
    return (error as Error).message;
  }
  throw new Error(`${text} was taken`);
};

describe('parseTextMessage', () => {
  it.each<[what: string, text: string, fields: unknown[]]>([
    ['nothing', '', []],
    ['comments alone', '# a\n  # b: 1\n#', []],
    ['a number', 'max_batch_size: 8', [['max_batch_size', '8']]],
    [
      'a comment behind a value',
      'a: 1 # b: 2\nc: 3',
      [
        ['a', '1'],
        ['c', '3'],
      ],
    ],
    ['a # in a string', 'a: "# no comment"', [['a', '# no comment']]],
    ['a message without a colon', 'a { b: 1 }', [['a', [['b', '1']]]]],
    ['a message with a colon', 'a: { b: 1 }', [['a', [['b', '1']]]]],
    ['a message in angles', 'a < b: 1 >', [['a', [['b', '1']]]]],
    ['messages in messages', 'a{b{c{}}}', [['a', [['b', [['c', []]]]]]]],
    ['a list', 'a: [1, -2,3]', [['a', '1', '-2', '3']]],
    ['an empty list', 'a: [ ]', [['a']]],
    ['a list of messages with a colon', 'a: [{b: 1}, {b: 2}]', [['a', [['b', '1']], [['b', '2']]]]],
    ['a list of messages without one', 'a [ { b: 1 } ]', [['a', [['b', '1']]]]],
    [
      'a field twice',
      'a: 1 a: 2',
      [
        ['a', '1'],
        ['a', '2'],
      ],
    ],
    [
      'fields parted by comma or semicolon',
      'a: 1, b: 2; c: 3',
      [
        ['a', '1'],
        ['b', '2'],
        ['c', '3'],
      ],
    ],
    [
      'an enum and a boolean',
      'kind: KIND_CPU on: true',
      [
        ['kind', 'KIND_CPU'],
        ['on', 'true'],
      ],
    ],
    [
      'floats',
      'a: 1.5e-3 b: .5 c: 1f d: -inf',
      [
        ['a', '1.5e-3'],
        ['b', '.5'],
        ['c', '1f'],
        ['d', '-inf'],
      ],
    ],
    ['a sign apart from its number', 'a: - # minus\n 2', [['a', '-2']]],
    [
      'hexadecimal and octal',
      'a: 0x1F b: 017',
      [
        ['a', '0x1F'],
        ['b', '017'],
      ],
    ],
    ['single quotes', `a: 'it"s'`, [['a', 'it"s']]],
    ['strings side by side', `a: "b" 'c'\n# d\n"e"`, [['a', 'bce']]],
    ['escapes', String.raw`a: "\n\t\"\'\\\x41\101\u00e9\U0001F600"`, [['a', '\n\t"\'\\AAé😀']]],
    ['a letter spelled in bytes', String.raw`a: "\303\251"`, [['a', 'é']]],
    ['a letter in bytes of two strings', String.raw`a: "\303" "\251"`, [['a', 'é']]],
    ['text beyond ASCII', 'a: "größer"', [['a', 'größer']]],
    [
      'lines that end with CR LF',
      'a: 1\r\nb: 2\r\n',
      [
        ['a', '1'],
        ['b', '2'],
      ],
    ],
  ])('reads %s', (_what, text, fields) => {
    expect(plain(parse(text))).toEqual(fields);
  });

  it.each<[text: string, fault: string]>([
    ['a 1', "config.pbtxt:1:3: expected ':' after 'a', found '1'"],
    ['a:', 'config.pbtxt:1:3: expected a value, found the end of the file'],
    ['a: {\n  b: 1\n', "config.pbtxt:3:1: expected a field name or '}', found the end of the file"],
    ['a { b: 1 >', "config.pbtxt:1:10: expected a field name or '}', found '>'"],
    ['}', "config.pbtxt:1:1: expected a field name, found '}'"],
    ['a: 1\n\n  : 2', "config.pbtxt:3:3: expected a field name, found ':'"],
    ['a: [1 2]', "config.pbtxt:1:7: expected ',' or ']' in the list, found '2'"],
    ['a: [1,]', "config.pbtxt:1:7: expected a value, found ']'"],
    ['a [1, 2]', "config.pbtxt:1:3: expected ':' before a list of values"],
    ['a: "b', 'config.pbtxt:1:4: string is not closed, expected " on the same line'],
    ["a: 'b\n'", "config.pbtxt:1:4: string is not closed, expected ' on the same line"],
    [String.raw`a: "\q"`, String.raw`config.pbtxt:1:5: unknown escape "\\q" in a string`],
    [String.raw`a: "\777"`, String.raw`config.pbtxt:1:5: escape \777 is more than a byte`],
    [String.raw`a: "\ud800"`, String.raw`config.pbtxt:1:5: unknown escape "\\u" in a string`],
    [String.raw`a: "\377"`, 'config.pbtxt:1:4: string is not UTF-8'],
    ['a: 1x', 'config.pbtxt:1:4: expected a space after the number'],
    ['a: 1.2.3', 'config.pbtxt:1:4: expected a space after the number'],
    ['a: @', 'config.pbtxt:1:4: unexpected character "@"'],
    ['[com.example.field]: 1', 'config.pbtxt:1:1: extension names in brackets are not supported'],
    ['a: "b" c', "config.pbtxt:1:9: expected ':' after 'c', found the end of the file"],
  ])('refuses %j with line and column', (text, fault) => {
    expect(faultOf(text)).toBe(fault);
  });

  it('takes messages nested 32 deep, and no deeper', () => {
    const nested = (depth: number): string => `${'a {'.repeat(depth)}${'}'.repeat(depth)}`;
    expect(parse(nested(32))).toHaveLength(1);
    expect(() => parse(nested(33))).toThrow(
      'config.pbtxt:1:99: messages are nested deeper than 32',
    );
  });

  it('reads back any text that the writer quoted', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const writer = new TextWriter();
        writer.text('a', text);
        expect(plain(parse(writer.finish()))).toEqual([['a', text]]);
      }),
    );
  });

  it('says where it is, whatever it is given', () => {
    const piece = fc.constantFrom(
      'a',
      ':',
      '{',
      '}',
      '[',
      ']',
      ',',
      '"b"',
      "'",
      '1',
      '-',
      '\\',
      '#',
      '\n',
      '<',
      '>',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 24 }), (pieces) => {
        try {
          parse(pieces.join(' '));
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_INVALID_MODEL' });
          expect((error as Error).message).toMatch(/^config\.pbtxt:\d+:\d+: /);
        }
      }),
    );
  });
});
