import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { printPairs, printTable } from '../../../../src/cli/table.ts';
import { createHost } from './command-host.ts';

const HEAD = ['NAME', 'COUNT'];
const ROWS = [
  ['a', '1'],
  ['longer', '1000'],
];

describe('printTable', () => {
  it('aligns columns by spaces, figures to the right, without spaces at the end of a line', () => {
    const { host, written } = createHost();
    printTable(host.createTerminal(false), HEAD, ROWS, { right: [1], indent: 2 });
    expect(written.stdout).toBe('  NAME    COUNT\n  a           1\n  longer   1000\n');
  });

  it('writes no colour where none is understood', () => {
    const { host, written } = createHost();
    printTable(host.createTerminal(false), HEAD, ROWS);
    expect(written.stdout).not.toContain('\u001B');
  });

  it('aligns coloured cells by what is seen of them', () => {
    const { host, written } = createHost({ colour: true });
    const terminal = host.createTerminal(false);
    printTable(terminal, HEAD, [
      [terminal.style('bad', 'a'), '1'],
      ['longer', '1000'],
    ]);
    const seen = stripVTControlCharacters(written.stdout);
    expect(seen).toBe('NAME    COUNT\na       1\nlonger  1000\n');
    expect(written.stdout).toContain('\u001B[31ma\u001B[39m');
  });

  it('prints nothing with --json', () => {
    const { host, written } = createHost();
    printTable(host.createTerminal(true), HEAD, ROWS);
    expect(written.stdout).toBe('');
  });
});

describe('printPairs', () => {
  it('puts the values in one column', () => {
    const { host, written } = createHost();
    printPairs(host.createTerminal(false), [
      ['a', '1'],
      ['longer', '2'],
    ]);
    expect(written.stdout).toBe('  a       1\n  longer  2\n');
  });
});
