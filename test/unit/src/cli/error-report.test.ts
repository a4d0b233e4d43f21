import { describe, expect, it } from 'vitest';
import { ForbiddenError, InternalError } from '../../../../protocols/errors.ts';
import { reportOf, tellError } from '../../../../src/cli/error-report.ts';
import { Interrupted } from '../../../../src/cli/interrupt.ts';
import { createHost, events } from './command-host.ts';

describe('reportOf', () => {
  it('takes code, message and exit code from an error of this package', () => {
    expect(reportOf(new ForbiddenError('not you'))).toEqual({
      code: 'ERR_FORBIDDEN',
      message: 'not you',
      exitCode: 5,
    });
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 143],
    ['SIGPIPE', 143],
    ['parent', 143],
  ] as const)('ends with the code of %s', (signal, exitCode) => {
    expect(reportOf(new Interrupted(signal))).toMatchObject({ code: 'INTERRUPTED', exitCode });
  });

  it.each([
    ['an error', new TypeError('x is not a function'), 'x is not a function'],
    ['a text', 'broken', 'broken'],
    ['nothing', undefined, 'undefined'],
    ['an error without a message', new Error(''), 'no reason given'],
  ])('calls %s that was thrown a bug', (_, thrown, message) => {
    expect(reportOf(thrown)).toEqual({ code: 'ERR_INTERNAL', message, exitCode: 1 });
  });
});

describe('tellError', () => {
  const error = new InternalError('first\n  second\u001B[2J', { cause: new Error('cause') });

  it('tells people one line on stderr, without a stack and without control characters', () => {
    const { host, written } = createHost();
    expect(tellError(host.createTerminal(false), error)).toBe(1);
    expect(written).toEqual({
      stdout: '',
      stderr: 'error: first second\uFFFD[2J (ERR_INTERNAL)\n',
    });
  });

  it('tells programs an event on stdout', () => {
    const { host, written } = createHost();
    tellError(host.createTerminal(true), error);
    expect(written.stderr).toBe('');
    expect(events(written.stdout)).toEqual([
      { event: 'error', code: 'ERR_INTERNAL', message: 'first second\uFFFD[2J' },
    ]);
  });

  it('keeps a message of 4096 characters whole and cuts one character more', () => {
    expect(reportOf(new InternalError('a'.repeat(4096))).message).toHaveLength(4096);
    expect(reportOf(new InternalError('a'.repeat(4097))).message).toMatch(/^a{4095}…$/);
  });
});
