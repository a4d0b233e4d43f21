import { describe, expect, test } from 'vitest';
import { Cancellation } from '../../../../protocols/inference/index.ts';

/** What a listener was told. */
function listen(cancellation: Cancellation): readonly unknown[] {
  const told: unknown[] = [];
  cancellation.listener = { cancelled: (reason) => told.push(reason) };
  return told;
}

describe('Cancellation', () => {
  test('tells its listener the first reason, once', () => {
    const cancellation = new Cancellation();
    const told = listen(cancellation);
    cancellation.cancel('enough');
    cancellation.cancel('again');
    expect(told).toEqual(['enough']);
  });

  test('tells nobody who does not listen any more', () => {
    const cancellation = new Cancellation();
    const told = listen(cancellation);
    cancellation.listener = undefined;
    cancellation.cancel('enough');
    expect(told).toEqual([]);
  });

  test('throws its reason once it is cancelled, not before', () => {
    const cancellation = new Cancellation();
    const reason = new Error('enough');
    expect(() => cancellation.throwIfCancelled()).not.toThrow();
    cancellation.cancel(reason);
    expect(() => cancellation.throwIfCancelled()).toThrow(reason);
  });

  test('aborts a signal that was asked for before it or after it', () => {
    const reason = new Error('enough');
    const before = new Cancellation();
    const { signal } = before;
    expect(signal.aborted).toBe(false);
    before.cancel(reason);
    expect(signal.reason).toBe(reason);
    const after = new Cancellation();
    after.cancel(reason);
    expect(after.signal.reason).toBe(reason);
  });
});
