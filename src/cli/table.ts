import Table from 'cli-table3';
import type { Terminal } from './terminal.ts';

export interface TableOptions {
  /** Columns, from 0, whose cells are figures and end at one edge. @default [] */
  readonly right?: readonly number[] | undefined;
  /** Spaces before each line. @default 0 */
  readonly indent?: number | undefined;
}

/** Columns apart by spaces alone: read well by people, and by `cut` and `awk` as well. */
const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
} as const;

/** Prints a table for people; nothing with `--json`. Cells of another peer's text must be made printable before. */
export function printTable(
  terminal: Terminal,
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { right = [], indent = 0 }: TableOptions = {},
): void {
  if (terminal.json) return;
  const table = new Table({
    head: head.map((title) => terminal.style('dim', title)),
    chars: NO_BORDERS,
    colAligns: head.map((_, column) => (right.includes(column) ? 'right' : 'left')),
    // The styles of cells are ours: the library's own would colour a pipe.
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
  });
  table.push(...rows.map((row) => [...row]));
  const space = ' '.repeat(indent);
  for (const line of table.toString().split('\n')) terminal.print(`${space}${line}`.trimEnd());
}

/** Prints names and values, one pair a line, the values in one column. */
export function printPairs(
  terminal: Terminal,
  pairs: readonly (readonly [name: string, value: string])[],
  indent = 2,
): void {
  const width = Math.max(...pairs.map(([name]) => name.length));
  for (const [name, value] of pairs) {
    terminal.print(
      `${' '.repeat(indent)}${terminal.style('dim', name.padEnd(width))}  ${value}`.trimEnd(),
    );
  }
}
