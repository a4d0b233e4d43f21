const INDENT = '  ';

/** Writes protobuf's text format, a field a line. */
export class TextWriter {
  readonly #lines: string[] = [];
  #depth = 0;

  comment(text: string): void {
    this.#line(`# ${text}`);
  }

  /** A number, a boolean or an enum's name. */
  word(name: string, value: number | boolean | string): void {
    this.#line(`${name}: ${value}`);
  }

  text(name: string, value: string): void {
    this.#line(`${name}: ${quote(value)}`);
  }

  numbers(name: string, values: readonly number[]): void {
    this.#line(`${name}: [ ${values.join(', ')} ]`);
  }

  message(name: string, write: () => void): void {
    this.#nested(`${name} {`, '}', write);
  }

  /** A list of messages, one for each item. */
  messages<T>(name: string, items: readonly T[], write: (item: T) => void): void {
    if (items.length === 0) return;
    this.#nested(`${name} [`, ']', () => {
      items.forEach((item, index) => {
        this.#nested('{', index + 1 < items.length ? '},' : '}', () => write(item));
      });
    });
  }

  finish(): string {
    return this.#lines.map((line) => `${line}\n`).join('');
  }

  #nested(open: string, close: string, write: () => void): void {
    this.#line(open);
    this.#depth += 1;
    write();
    this.#depth -= 1;
    this.#line(close);
  }

  #line(text: string): void {
    this.#lines.push(`${INDENT.repeat(this.#depth)}${text}`);
  }
}

function quote(text: string): string {
  const escaped = text.replace(/[\\"\p{Cc}]/gu, (character) => {
    if (character === '\\' || character === '"') return `\\${character}`;
    const bytes = [...Buffer.from(character)];
    return bytes.map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
  });
  return `"${escaped}"`;
}
