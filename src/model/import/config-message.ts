import type { InvalidModelError } from '../../../protocols/errors.ts';
import { quoted } from '../../../protocols/quoted.ts';
import { parseTextMessage, type TextField, type TextValue } from './text-message.ts';
import { TextSource } from './text-token.ts';

/**
 * A message of a configuration in text format, read field by field as the schema says. It remembers what was read, so that
 * the rest can be told instead of getting lost.
 */
export class ConfigMessage {
  readonly #source: TextSource;
  readonly #fields: readonly TextField[];
  /** Path of this message in the file, `''` at the top. */
  readonly #path: string;
  readonly #offset: number;
  readonly #read = new Set<string>();
  /** By path; each is made once, so that what one reader took the next one knows. */
  readonly #children = new Map<string, ConfigMessage>();

  constructor(
    source: TextSource,
    fields: readonly TextField[],
    { path, offset }: { readonly path: string; readonly offset: number },
  ) {
    this.#source = source;
    this.#fields = fields;
    this.#path = path;
    this.#offset = offset;
  }

  /** @throws {ERR_INVALID_MODEL} with line and column when the text is no message. */
  static parse(fileName: string, text: string): ConfigMessage {
    const source = new TextSource(fileName, text);
    return new ConfigMessage(source, parseTextMessage(source), { path: '', offset: 0 });
  }

  has(name: string): boolean {
    return this.#fields.some((field) => field.name === name);
  }

  integer(
    name: string,
    bounds: { readonly min: number; readonly max: number },
  ): number | undefined {
    const value = this.#one(name);
    return value === undefined ? undefined : this.#integer(name, value, bounds);
  }

  integers(name: string, bounds: { readonly min: number; readonly max: number }): number[] {
    return this.#all(name).map((value) => this.#integer(name, value, bounds));
  }

  text(name: string): string | undefined {
    const value = this.#one(name);
    if (value === undefined || value.kind === 'string') return value?.text;
    throw this.#wrong(name, value, 'a string in quotes');
  }

  flag(name: string): boolean | undefined {
    const value = this.#one(name);
    if (value === undefined) return undefined;
    if (value.kind !== 'message' && value.kind !== 'string') {
      if (/^(?:true|True|t|1)$/.test(value.text)) return true;
      if (/^(?:false|False|f|0)$/.test(value.text)) return false;
    }
    throw this.#wrong(name, value, 'true or false');
  }

  /** An enum's value, by its name or number. */
  choice<Choice extends string>(
    name: string,
    choices: Readonly<Record<Choice, number>>,
  ): Choice | undefined {
    const value = this.#one(name);
    if (value === undefined) return undefined;
    const found =
      value.kind === 'message' || value.kind === 'string'
        ? undefined
        : (Object.keys(choices) as Choice[]).find(
            (choice) => choice === value.text || String(choices[choice]) === value.text,
          );
    if (found !== undefined) return found;
    throw this.#wrong(name, value, `one of ${Object.keys(choices).join(', ')}`);
  }

  message(name: string): ConfigMessage | undefined {
    const value = this.#one(name);
    return value === undefined ? undefined : this.#child(name, value, '');
  }

  messages(name: string): ConfigMessage[] {
    return this.#all(name).map((value, index) => this.#child(name, value, `[${index}]`));
  }

  /** Paths of the fields that nobody read, in this message and in those read from it, as they come in the file. */
  unread(): string[] {
    const own = this.#fields
      .filter(({ name }) => !this.#read.has(name))
      .map(({ name, offset }) => ({ path: this.#pathOf(name), offset }));
    const found = new Map(own.map(({ path, offset }) => [path, offset]));
    const within = [...this.#children.values()].flatMap((child) =>
      child.unread().map((path) => ({ path, offset: child.#offset })),
    );
    return [...[...found].map(([path, offset]) => ({ path, offset })), ...within]
      .sort((a, b) => a.offset - b.offset)
      .map(({ path }) => path);
  }

  /** What is wrong with a field, with its line and column; of the message itself when it is not there. */
  fault(name: string, what: string): InvalidModelError {
    const field = this.#fields.find((candidate) => candidate.name === name);
    const offset = field?.values[0]?.offset ?? field?.offset ?? this.#offset;
    return this.#source.fault(offset, `field ${this.#pathOf(name)}: ${what}`);
  }

  #all(name: string): readonly TextValue[] {
    this.#read.add(name);
    return this.#fields.flatMap((field) => (field.name === name ? field.values : []));
  }

  #one(name: string): TextValue | undefined {
    const [value, second] = this.#all(name);
    if (second === undefined) return value;
    throw this.#source.fault(second.offset, `field ${this.#pathOf(name)}: is given twice`);
  }

  #child(name: string, value: TextValue, index: string): ConfigMessage {
    if (value.kind !== 'message') throw this.#wrong(name, value, "a message in '{' and '}'");
    const path = `${this.#pathOf(name)}${index}`;
    const known = this.#children.get(path);
    if (known !== undefined) return known;
    const child = new ConfigMessage(this.#source, value.fields, { path, offset: value.offset });
    this.#children.set(path, child);
    return child;
  }

  #integer(
    name: string,
    value: TextValue,
    { min, max }: { readonly min: number; readonly max: number },
  ): number {
    const number = value.kind === 'number' ? parseInteger(value.text) : Number.NaN;
    if (Number.isSafeInteger(number) && number >= min && number <= max) return number;
    throw this.#wrong(name, value, `an integer from ${min} to ${max}`);
  }

  #wrong(name: string, value: TextValue, expected: string): InvalidModelError {
    const what = `field ${this.#pathOf(name)}: expected ${expected}, found ${describe(value)}`;
    return this.#source.fault(value.offset, what);
  }

  #pathOf(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`;
  }
}

/** Decimal, octal after a 0, hexadecimal after 0x; NaN for anything else. */
function parseInteger(text: string): number {
  const [, sign = '', digits = ''] = /^(-?)(.*)$/.exec(text) ?? [];
  const octal = /^0[0-7]+$/.test(digits);
  const plain = octal || /^(?:0|[1-9]\d*|0[xX][0-9a-fA-F]+)$/.test(digits);
  if (!plain) return Number.NaN;
  const value = Number(octal ? `0o${digits.slice(1)}` : digits);
  return sign === '' || value === 0 ? value : -value;
}

function describe(value: TextValue): string {
  if (value.kind === 'message') return 'a message';
  return value.kind === 'string' ? `string ${quoted(value.text)}` : quoted(value.text);
}
