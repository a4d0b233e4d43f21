import { execFile } from 'node:child_process';
import os from 'node:os';
import { promisify } from 'node:util';

/** A goal and how far off it is; a benchmark is not a test, so a missed one changes no exit code. */
export interface Target {
  readonly name: string;
  /** A ratio of two measurements of the same run. */
  readonly value: number;
  /** The bound with its direction, such as `<= 1.5`. */
  readonly target: string;
  readonly met: boolean;
}

/** What every benchmark ends with: the last line of `--json`. */
export interface Report<Row extends object> {
  readonly bench: string;
  readonly machine: string;
  readonly commit: string;
  readonly rows: readonly Row[];
  readonly targets: readonly Target[];
}

/** One column of the table for people. */
export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
}

export function atMost(name: string, value: number, bound: number): Target {
  return { name, value: rounded(value), target: `<= ${bound}`, met: value <= bound };
}

export function atLeast(name: string, value: number, bound: number): Target {
  return { name, value: rounded(value), target: `>= ${bound}`, met: value >= bound };
}

/** Three significant digits: more would be noise. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

/** Prints the table and the targets, and with `json` the report as the last line. */
export function printReport<Row extends object>(
  report: Report<Row>,
  columns: readonly Column<Row>[],
  json: boolean,
): void {
  console.log(`${report.bench} on ${report.machine}, commit ${report.commit}\n`);
  printTable(report.rows, columns);
  if (report.targets.length > 0) {
    console.log();
    printTable(report.targets, [
      { title: 'target', value: ({ name }) => name },
      { title: 'found', value: ({ value }) => String(value) },
      { title: 'wanted', value: ({ target }) => target },
      { title: 'met', value: ({ met }) => (met ? 'yes' : 'no') },
    ]);
  }
  if (json) console.log(JSON.stringify(report));
}

/** The machine in words, with its load: a figure from a busy machine is worth less. */
export function describeMachine(): string {
  const cpus = os.cpus();
  const memoryGib = Math.round(os.totalmem() / 1024 ** 3);
  const load = os.loadavg()[0] ?? 0;
  return `${cpus.length} × ${cpus[0]?.model.trim() ?? 'unknown CPU'}, ${memoryGib} GiB, ${os.platform()} ${os.arch()}, Node ${process.versions.node}, load ${load.toFixed(1)} before`;
}

/** The commit of the checkout, with `+` when files differ from it; `unknown` outside a checkout. */
export async function describeCommit(): Promise<string> {
  try {
    const run = promisify(execFile);
    const options = { cwd: import.meta.dirname, timeout: 10_000 };
    const head = await run('git', ['rev-parse', '--short=12', 'HEAD'], options);
    const status = await run('git', ['status', '--porcelain'], options);
    return head.stdout.trim() + (status.stdout.trim() === '' ? '' : '+');
  } catch {
    // Installed from an archive, or no git: the figures stand all the same.
    return 'unknown';
  }
}

function printTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): void {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ value }) => value(row))),
  ];
  const widths = columns.map((_, column) =>
    Math.max(...cells.map((line) => line[column]?.length ?? 0)),
  );
  for (const line of cells) {
    const padded = line.map((cell, column) => {
      const width = widths[column] ?? 0;
      return /^[\d.]+$/.test(cell) ? cell.padStart(width) : cell.padEnd(width);
    });
    console.log(padded.join('  ').trimEnd());
  }
}
