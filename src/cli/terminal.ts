/** Where text goes; `process.stdout` is one. */
export interface TextSink {
  write(text: string): unknown;
}

export interface TerminalInit {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  /** True when the command was given `--json`: data as one object a line. */
  readonly json: boolean;
  /** True when stdout understands colour escapes. */
  readonly colour: boolean;
}

/** Colours by what they mean; the numbers are those of ECMA-48, select graphic rendition. */
const STYLES = { strong: [1, 22], dim: [2, 22], good: [32, 39], bad: [31, 39] } as const;

/** What a command talks to: data on stdout, everything else on stderr. */
export class Terminal {
  readonly json: boolean;
  readonly colour: boolean;
  readonly #stdout: TextSink;
  readonly #stderr: TextSink;

  constructor(init: TerminalInit) {
    this.json = init.json;
    this.colour = init.colour;
    this.#stdout = init.stdout;
    this.#stderr = init.stderr;
  }

  /** A line of data for people; nothing with `--json`. */
  print(line: string): void {
    if (!this.json) this.#stdout.write(`${line}\n`);
  }

  /** An object for programs, one line of JSON; nothing without `--json`. */
  event(event: Readonly<Record<string, unknown>>): void {
    if (this.json) this.#stdout.write(`${JSON.stringify(event)}\n`);
  }

  /** Text that is data in either form, such as an answer that is JSON by nature. */
  data(text: string): void {
    this.#stdout.write(text.endsWith('\n') ? text : `${text}\n`);
  }

  /** A line of progress or advice, never data. */
  note(line: string): void {
    this.#stderr.write(`${line}\n`);
  }

  /** Text in a style where colours are understood, plain elsewhere. */
  style(style: keyof typeof STYLES, text: string): string {
    const [on, off] = STYLES[style];
    return this.colour ? `\u001B[${on}m${text}\u001B[${off}m` : text;
  }
}
