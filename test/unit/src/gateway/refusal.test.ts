import { describe, expect, it } from 'vitest';
import { BusyError, DeadlineError, LimitError } from '../../../../protocols/errors.ts';
import { failureOf, GatewayRefusal } from '../../../../src/gateway/refusal.ts';

describe('failureOf', () => {
  it.each([
    ['a refusal of the gateway', new GatewayRefusal('forbidden', 'no'), 'forbidden'],
    ['a call that was cancelled', new DOMException('gone', 'AbortError'), 'cancelled'],
    ['a step that took too long', new DOMException('late', 'TimeoutError'), 'deadline'],
    ['a deadline', new DeadlineError('late', 'total'), 'deadline'],
    ['a bound', new LimitError('too many'), 'invalid'],
    ['a node that is busy', new BusyError('busy', 5), 'unavailable'],
    ['a bug', new TypeError('x is undefined'), 'internal'],
    ['what is no error', 'text', 'internal'],
  ])('tells %s by its kind', (_, thrown, kind) => {
    expect(failureOf(thrown)).toMatchObject({ kind });
  });
});
