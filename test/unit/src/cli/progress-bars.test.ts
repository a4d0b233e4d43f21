import { describe, expect, it } from 'vitest';
import { ProgressBars } from '../../../../src/cli/progress-bars.ts';
import { createHost } from './command-host.ts';

const MIB = 1024 ** 2;

const ESCAPE = '\u001B[';

/** What a terminal shows in the end: understands going up and clearing below, as far as we use them. */
function screen(text: string): string[] {
  const lines: string[] = [];
  for (const [index, part] of text.split(ESCAPE).entries()) {
    // Each escape is `<n>A`, then `0J`, then text.
    const up = index === 0 ? null : /^(\d+)A$/.exec(part);
    if (up !== null) lines.splice(lines.length - Number(up[1]));
    else lines.push(...part.replace(/^0J/, '').split('\n').slice(0, -1));
  }
  return lines;
}

describe('ProgressBars', () => {
  it('draws a bar for each, with share, bytes, rate and time left, in place', () => {
    const { host, written } = createHost({ columns: 100 });
    const bars = new ProgressBars(host.createTerminal(false));
    bars.set('one', 0, 100 * MIB, 0);
    bars.set('two', 10 * MIB, 100 * MIB, 0);
    bars.set('one', 50 * MIB, 100 * MIB, 5_000);
    expect(screen(written.stderr)).toEqual([
      'one  ███████████████░░░░░░░░░░░░░░░  50 %  50.0 MiB of 100 MiB  10.0 MiB/s  5 s left',
      'two  ███░░░░░░░░░░░░░░░░░░░░░░░░░░░  10 %  10.0 MiB of 100 MiB',
    ]);
    bars.end('one');
    expect(screen(written.stderr)).toHaveLength(1);
    bars.end('two');
    expect(screen(written.stderr)).toEqual([]);
  });

  it('stays below the lines that are told meanwhile', () => {
    const { host, written } = createHost({ columns: 80 });
    const terminal = host.createTerminal(false);
    const bars = new ProgressBars(terminal);
    bars.set('one', 1, 4, 0);
    terminal.note('a line');
    bars.set('one', 2, 4, 1_000);
    terminal.note('another');
    expect(screen(written.stderr)).toEqual([
      'a line',
      'another',
      expect.stringMatching(/^one .*50 %/),
    ]);
  });

  it.each([20, 40, 60, 80])('never fills a line of %i characters, which would wrap', (columns) => {
    const { host, written } = createHost({ columns });
    const bars = new ProgressBars(host.createTerminal(false));
    bars.set('12D3KooW…B3nAbD', 0, 1_000 * MIB, 0);
    bars.set('12D3KooW…B3nAbD', 999 * MIB, 1_000 * MIB, 100);
    for (const line of screen(written.stderr)) expect(line.length).toBeLessThan(columns);
  });

  it.each([
    ['is no terminal', { columns: undefined, json: false }],
    ['is read by a program', { columns: 80, json: true }],
  ])('draws nothing where the output %s', (_, { columns, json }) => {
    const { host, written } = createHost({ columns });
    const bars = new ProgressBars(host.createTerminal(json));
    expect(bars.shown).toBe(false);
    bars.set('one', 1, 4, 0);
    bars.end('one');
    expect(written.stderr).toBe('');
  });
});
