import { describe, expect, it } from 'vitest';
import { BusyError, InvalidInputError, LoadingError } from '../../../protocols/errors.ts';
import {
  cleanRemoteText,
  errorFromFailure,
  failureFromError,
  STATUS,
} from '../../../protocols/status.ts';

describe('failureFromError', () => {
  it('carries a typed error over the wire and back', () => {
    const back = errorFromFailure(failureFromError(new BusyError('queue is full', 120)));
    expect(back).toMatchObject({ code: 'ERR_BUSY', message: 'queue is full', retryAfterMs: 120 });
    expect(errorFromFailure(failureFromError(new LoadingError('loading', 900)))).toMatchObject({
      code: 'ERR_LOADING',
      etaMs: 900,
    });
    expect(errorFromFailure(failureFromError(new InvalidInputError('bad')))).toMatchObject({
      code: 'ERR_INVALID_INPUT',
    });
  });

  it('keeps errors that are not ours to itself', () => {
    expect(failureFromError(new Error('ENOENT /home/owner/secret'))).toEqual({
      status: STATUS.internal,
      message: 'internal error',
      afterMs: null,
    });
  });

  it('bounds the text it sends', () => {
    expect(failureFromError(new InvalidInputError('x'.repeat(10_000))).message).toHaveLength(512);
  });
});

describe('errorFromFailure', () => {
  it('takes a status it does not know for an internal error that names it', () => {
    expect(errorFromFailure({ status: 999, message: 'm', afterMs: null })).toMatchObject({
      code: 'ERR_INTERNAL',
      message: 'unknown status 999: m',
    });
  });

  it('has an error for every status but ok', () => {
    for (const status of Object.values(STATUS)) {
      if (status === STATUS.ok) continue;
      expect(errorFromFailure({ status, message: 'm', afterMs: 1 }).message, String(status)).toBe(
        'm',
      );
    }
  });
});

describe('cleanRemoteText', () => {
  it('strips control characters that could forge a log line or move a cursor', () => {
    expect(cleanRemoteText('a\nb\u001b[31mc\u009bd')).toBe('a b [31mc d');
  });
});
