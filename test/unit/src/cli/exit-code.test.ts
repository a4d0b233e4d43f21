import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../../../protocols/errors.ts';
import { EXIT, EXIT_CODE_HELP, exitCodeOf } from '../../../../src/cli/exit-code.ts';

const read = (file: string): string =>
  readFileSync(new URL(`../../../../docs/${file}`, import.meta.url), 'utf8');

describe('EXIT', () => {
  it('is the table of docs/cli.md', () => {
    const rows = [...read('cli.md').matchAll(/^\| (\d+) \| `(\w+)` \|/gm)];
    expect(Object.fromEntries(rows.map(([, code, name]) => [name, Number(code)]))).toEqual(EXIT);
  });

  it('is what --help lists', () => {
    const listed = [...EXIT_CODE_HELP.matchAll(/(?<= )(\d+) [a-z]/g)].map(([, code]) =>
      Number(code),
    );
    expect(listed).toEqual(Object.values(EXIT));
  });

  it('has no code twice', () => {
    expect(new Set(Object.values(EXIT)).size).toBe(Object.keys(EXIT).length);
  });
});

describe('exitCodeOf', () => {
  const rows = [...read('errors.md').matchAll(/^\| `(ERR_[A-Z_]+)` \|.*\| (\d+) \|$/gm)];

  it.each(rows.map(([, code, exit]) => ({ code: code as ErrorCode, exit: Number(exit) })))(
    'ends with $exit for $code, as docs/errors.md says',
    ({ code, exit }) => expect(exitCodeOf(code)).toBe(exit),
  );

  it('ends with 1 for a code of a later program', () => {
    expect(exitCodeOf('ERR_OF_TOMORROW' as ErrorCode)).toBe(EXIT.failed);
  });
});
