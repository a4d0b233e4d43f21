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
  /** Characters in a line of stderr when it is a terminal whose lines can be drawn again. @default undefined: it is not */
  readonly columns?: number | undefined;
}

/** Colours by what they mean; the numbers are those of ECMA-48, select graphic rendition. */
const STYLES = { strong: [1, 22], dim: [2, 22], good: [32, 39], bad: [31, 39] } as const;

/** Up so many lines, then clear to the end of the screen (ECMA-48, CUU and ED). */
const eraseLines = (count: number): string => (count === 0 ? '' : `\u001B[${count}A\u001B[0J`);

/** What a command talks to: data on stdout, everything else on stderr. */
export class Terminal {
  readonly json: boolean;
  readonly colour: boolean;
  /** Characters in a line of {@link live} text; undefined where there can be none. */
  readonly columns: number | undefined;
  /** Drawn below all else, and again after it. */
  #live: readonly string[] = [];
  readonly #stdout: TextSink;
  readonly #stderr: TextSink;

  constructor(init: TerminalInit) {
    this.json = init.json;
    this.colour = init.colour;
    this.columns = init.json ? undefined : init.columns;
    this.#stdout = init.stdout;
    this.#stderr = init.stderr;
  }

  /** A line of data for people; nothing with `--json`. */
  print(line: string): void {
    if (!this.json) this.#above(() => this.#stdout.write(`${line}\n`));
  }

  /** An object for programs, one line of JSON; nothing without `--json`. */
  event(event: Readonly<Record<string, unknown>>): void {
    if (this.json) this.#stdout.write(`${JSON.stringify(event)}\n`);
  }

  /** Text that is data in either form, such as an answer that is JSON by nature. */
  data(text: string): void {
    this.#above(() => this.#stdout.write(text.endsWith('\n') ? text : `${text}\n`));
  }

  /** A line of progress or advice, never data. */
  note(line: string): void {
    this.#above(() => this.#stderr.write(`${line}\n`));
  }

  /** Lines that stand below everything else until others, or none, take their place; no longer than {@link columns}. */
  live(lines: readonly string[]): void {
    if (this.columns === undefined) return;
    this.#above(() => {
      this.#live = lines;
    });
  }

  /** Writes where the live lines stand, and draws them again below. */
  #above(write: () => unknown): void {
    const erase = eraseLines(this.#live.length);
    if (erase !== '') this.#stderr.write(erase);
    write();
    if (this.#live.length > 0) this.#stderr.write(`${this.#live.join('\n')}\n`);
  }

  /** Text in a style where colours are understood, plain elsewhere. */
  style(style: keyof typeof STYLES, text: string): string {
    const [on, off] = STYLES[style];
    return this.colour ? `\u001B[${on}m${text}\u001B[${off}m` : text;
  }
}
