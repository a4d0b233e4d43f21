import { InvalidModelError } from '../../../protocols/errors.ts';

/** A file in protobuf's text format, for errors that say where. */
export class TextSource {
  readonly fileName: string;
  readonly text: string;

  constructor(fileName: string, text: string) {
    this.fileName = fileName;
    this.text = text;
  }

  /** `config.pbtxt:3:7`; lines and columns count from 1, columns in UTF-16 units. */
  position(offset: number): string {
    const before = this.text.slice(0, offset);
    const line = before.split('\n').length;
    const column = offset - (before.lastIndexOf('\n') + 1) + 1;
    return `${this.fileName}:${line}:${column}`;
  }

  fault(offset: number, what: string): InvalidModelError {
    return new InvalidModelError(`${this.position(offset)}: ${what}`, {
      details: { file: this.fileName },
    });
  }
}

/** A piece of text format; `offset` is where it begins. */
export type TextToken =
  | { readonly kind: 'name' | 'number' | 'mark'; readonly text: string; readonly offset: number }
  /** Decoded bytes: escapes can spell any, and only the whole of adjacent strings is UTF-8. */
  | { readonly kind: 'string'; readonly bytes: Uint8Array; readonly offset: number }
  | { readonly kind: 'end'; readonly offset: number };

// A comment ends with its line, so that the two can follow each other any number of times.
const BLANK = /(?:[ \t\r\n\v\f]|#[^\n]*)*/y;
const NAME = /[A-Za-z_]\w*/y;
const NUMBER = /0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?[fF]?/y;
const MARKS = '{}<>[]:,;-/.';

const SIMPLE_ESCAPES: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  '?': 63,
  '\\': 92,
  "'": 39,
  '"': 34,
};

/**
 * Cuts protobuf's text format into tokens; the last one is `end`.
 *
 * @see https://protobuf.dev/reference/protobuf/textformat-spec/#lexical
 * @throws {ERR_INVALID_MODEL} with line and column.
 */
export function* readTextTokens(source: TextSource): Generator<TextToken> {
  const { text } = source;
  let offset = 0;
  for (;;) {
    offset += matchAt(BLANK, text, offset).length;
    const first = text[offset];
    if (first === undefined) {
      yield { kind: 'end', offset };
      return;
    }
    if (first === '"' || first === "'") {
      const { bytes, end } = readString(source, offset);
      yield { kind: 'string', bytes, offset };
      offset = end;
      continue;
    }
    const name = matchAt(NAME, text, offset);
    const number = name === '' ? matchAt(NUMBER, text, offset) : '';
    if (number !== '' && /[\w.]/.test(text[offset + number.length] ?? '')) {
      throw source.fault(offset, 'expected a space after the number');
    }
    const mark = MARKS.includes(first) ? first : '';
    const found = name || number || mark;
    if (found === '') {
      throw source.fault(offset, `unexpected character ${JSON.stringify(first)}`);
    }
    const kind = name !== '' ? 'name' : number !== '' ? 'number' : 'mark';
    yield { kind, text: found, offset };
    offset += found.length;
  }
}

function matchAt(pattern: RegExp, text: string, offset: number): string {
  pattern.lastIndex = offset;
  return pattern.exec(text)?.[0] ?? '';
}

function readString(source: TextSource, start: number): { bytes: Uint8Array; end: number } {
  const { text } = source;
  const quote = text[start];
  const parts: Uint8Array[] = [];
  let plain = start + 1;
  let offset = plain;
  const takePlain = (): void => {
    if (offset > plain) parts.push(Buffer.from(text.slice(plain, offset)));
  };
  for (;;) {
    const next = text[offset];
    if (next === undefined || next === '\n') {
      throw source.fault(start, `string is not closed, expected ${quote} on the same line`);
    }
    if (next === quote) {
      takePlain();
      return { bytes: Buffer.concat(parts), end: offset + 1 };
    }
    if (next === '\\') {
      takePlain();
      const escape = readEscape(source, offset);
      parts.push(escape.bytes);
      offset += escape.length;
      plain = offset;
    } else {
      offset += 1;
    }
  }
}

function readEscape(source: TextSource, offset: number): { bytes: Uint8Array; length: number } {
  const rest = source.text.slice(offset + 1, offset + 10);
  const simple = SIMPLE_ESCAPES[rest[0] ?? ''];
  if (simple !== undefined) return { bytes: Uint8Array.of(simple), length: 2 };
  const octal = /^[0-7]{1,3}/.exec(rest)?.[0];
  if (octal !== undefined) return byteEscape(source, offset, octal, 8);
  const hex = /^[xX]([0-9a-fA-F]{1,2})/.exec(rest)?.[1];
  if (hex !== undefined) return byteEscape(source, offset, hex, 16);
  const unicode = /^u([0-9a-fA-F]{4})|^U([0-9a-fA-F]{8})/.exec(rest);
  const point = Number.parseInt(unicode?.[1] ?? unicode?.[2] ?? '', 16);
  const surrogate = point >= 0xd800 && point <= 0xdfff;
  if (unicode !== null && point <= 0x10_ff_ff && !surrogate) {
    return { bytes: Buffer.from(String.fromCodePoint(point)), length: unicode[0].length + 1 };
  }
  const found = JSON.stringify(`\\${rest[0] ?? ''}`);
  throw source.fault(offset, `unknown escape ${found} in a string`);
}

function byteEscape(
  source: TextSource,
  offset: number,
  digits: string,
  base: 8 | 16,
): { bytes: Uint8Array; length: number } {
  const value = Number.parseInt(digits, base);
  if (value > 255) throw source.fault(offset, `escape \\${digits} is more than a byte`);
  // The backslash, and an x before hexadecimal digits.
  return { bytes: Uint8Array.of(value), length: digits.length + (base === 16 ? 2 : 1) };
}
