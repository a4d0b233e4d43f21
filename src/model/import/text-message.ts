import { quoted } from '../../../protocols/quoted.ts';
import { readTextTokens, type TextSource, type TextToken } from './text-token.ts';

/** Messages within messages; Triton's configurations have seven levels at most. */
const MAX_DEPTH = 32;

/** A value as it stands in the text: without a schema a number may be of any type, a word an enum's or a boolean. */
export type TextValue =
  | { readonly kind: 'message'; readonly fields: readonly TextField[]; readonly offset: number }
  | { readonly kind: 'number' | 'word' | 'string'; readonly text: string; readonly offset: number };

/** One mention of a field; a list is several values, and a repeated field may have several mentions. */
export interface TextField {
  readonly name: string;
  readonly values: readonly TextValue[];
  readonly offset: number;
}

/**
 * Parses protobuf's text format, without a schema.
 *
 * Extension names in brackets and `Any` are refused: no configuration that is read here has them.
 *
 * @see https://protobuf.dev/reference/protobuf/textformat-spec/#syntax
 * @throws {ERR_INVALID_MODEL} with line and column.
 */
export function parseTextMessage(source: TextSource): readonly TextField[] {
  return new TextParser(source).parse();
}

class TextParser {
  readonly #source: TextSource;
  readonly #tokens: Generator<TextToken>;
  #next: TextToken;

  constructor(source: TextSource) {
    this.#source = source;
    this.#tokens = readTextTokens(source);
    this.#next = this.#read();
  }

  parse(): readonly TextField[] {
    const fields = this.#fields(0);
    if (this.#next.kind !== 'end') throw this.#expected('a field name');
    return fields;
  }

  /** Fields up to what closes the message, which is left to the caller. */
  #fields(depth: number): TextField[] {
    const fields: TextField[] = [];
    while (this.#next.kind === 'name') {
      fields.push(this.#field(depth));
      if (!this.#skip(',')) this.#skip(';');
    }
    if (this.#isMark('[')) {
      throw this.#source.fault(this.#next.offset, 'extension names in brackets are not supported');
    }
    return fields;
  }

  #field(depth: number): TextField {
    const { offset } = this.#next;
    const name = this.#take('name', 'a field name');
    const colon = this.#skip(':');
    if (this.#isMark('[')) return { name, values: this.#list(colon, depth), offset };
    if (!colon && !this.#isMark('{') && !this.#isMark('<')) {
      throw this.#expected(`':' after ${quoted(name)}`);
    }
    return { name, values: [this.#value(depth)], offset };
  }

  #list(colon: boolean, depth: number): TextValue[] {
    const { offset } = this.#next;
    this.#skip('[');
    const values: TextValue[] = [];
    if (this.#skip(']')) return values;
    do values.push(this.#value(depth));
    while (this.#skip(','));
    if (!this.#skip(']')) throw this.#expected("',' or ']' in the list");
    if (!colon && values.some(({ kind }) => kind !== 'message')) {
      throw this.#source.fault(offset, "expected ':' before a list of values");
    }
    return values;
  }

  #value(depth: number): TextValue {
    const { offset } = this.#next;
    for (const [open, close] of ['{}', '<>']) {
      if (open === undefined || close === undefined || !this.#skip(open)) continue;
      if (depth >= MAX_DEPTH) {
        throw this.#source.fault(offset, `messages are nested deeper than ${MAX_DEPTH}`);
      }
      const fields = this.#fields(depth + 1);
      if (!this.#skip(close)) throw this.#expected(`a field name or '${close}'`);
      return { kind: 'message', fields, offset };
    }
    if (this.#next.kind === 'string') return { kind: 'string', text: this.#strings(), offset };
    const sign = this.#skip('-') ? '-' : '';
    if (this.#next.kind === 'number') {
      return { kind: 'number', text: sign + this.#take('number', 'a number'), offset };
    }
    return { kind: 'word', text: sign + this.#take('name', 'a value'), offset };
  }

  /** Strings side by side are one. */
  #strings(): string {
    const { offset } = this.#next;
    const parts: Uint8Array[] = [];
    while (this.#next.kind === 'string') {
      parts.push(this.#next.bytes);
      this.#advance();
    }
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        Buffer.concat(parts),
      );
    } catch {
      // The decoder says no more than that.
      throw this.#source.fault(offset, 'string is not UTF-8');
    }
  }

  #take(kind: 'name' | 'number', what: string): string {
    if (this.#next.kind !== kind) throw this.#expected(what);
    const { text } = this.#next;
    this.#advance();
    return text;
  }

  #isMark(text: string): boolean {
    return this.#next.kind === 'mark' && this.#next.text === text;
  }

  #skip(mark: string): boolean {
    const found = this.#isMark(mark);
    if (found) this.#advance();
    return found;
  }

  #advance(): void {
    this.#next = this.#read();
  }

  #read(): TextToken {
    const { value, done } = this.#tokens.next();
    return done === true ? this.#next : value;
  }

  #expected(what: string): Error {
    const next = this.#next;
    const found =
      next.kind === 'end'
        ? 'the end of the file'
        : next.kind === 'string'
          ? 'a string'
          : quoted(next.text);
    return this.#source.fault(next.offset, `expected ${what}, found ${found}`);
  }
}
