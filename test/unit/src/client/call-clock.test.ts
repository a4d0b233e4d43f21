import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConnectionError, DeadlineError, LoadingError } from '../../../../protocols/errors.ts';
import { CallClock } from '../../../../src/client/call-clock.ts';

describe('CallClock', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('aborts at the deadline and not before', () => {
    using clock = new CallClock(100, undefined);
    vi.advanceTimersByTime(99);
    expect(clock.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(clock.signal.reason).toMatchObject({ name: 'TimeoutError' });
  });

  it('tells the time that has gone and that is left, never less than 1 ms', () => {
    using clock = new CallClock(100, undefined);
    vi.advanceTimersByTime(40);
    expect([clock.elapsedMs(), clock.remainingMs()]).toEqual([40, 60]);
    vi.advanceTimersByTime(100);
    expect([clock.elapsedMs(), clock.remainingMs()]).toEqual([140, 1]);
  });

  it("aborts with the caller's reason when the caller gives up", () => {
    const caller = new AbortController();
    using clock = new CallClock(100, caller.signal);
    const reason = new Error('user left');
    caller.abort(reason);
    expect(clock.signal.reason).toBe(reason);
    expect(clock.explain(new ConnectionError('stream reset'), 'digits')).toBe(reason);
  });

  it('has ended from the start for a caller who has given up already', () => {
    const reason = new Error('gone');
    using clock = new CallClock(100, AbortSignal.abort(reason));
    expect(clock.signal.reason).toBe(reason);
    expect(clock.explain(new ConnectionError('stream reset'), 'digits')).toBe(reason);
  });

  it('aborts with the reason of whoever cancels first', () => {
    const caller = new AbortController();
    using clock = new CallClock(100, caller.signal);
    const reason = new Error('seen enough');
    clock.cancel(reason);
    caller.abort(new Error('user left'));
    vi.advanceTimersByTime(100);
    expect([clock.signal.reason, clock.expired]).toEqual([reason, false]);
    expect(clock.explain(new ConnectionError('stream reset'), 'digits')).toBe(reason);
  });

  it('explains whatever failed after the deadline as the deadline, and keeps what says more', () => {
    using clock = new CallClock(100, undefined);
    const cause = new ConnectionError('stream reset');
    expect(clock.explain(cause, 'digits')).toBe(cause);
    vi.advanceTimersByTime(100);
    expect(clock.explain(cause, 'digits')).toMatchObject({
      code: 'ERR_DEADLINE',
      phase: 'total',
      message: 'digits: no answer within 100 ms',
      cause,
    });
    const queued = new DeadlineError('in queue', 'queue');
    expect(clock.explain(queued, 'digits')).toBe(queued);
    const loading = new LoadingError('loaded in a while', 5_000);
    expect(clock.explain(loading, 'digits')).toBe(loading);
  });

  it('sleeps as long as it is told, or until the call ends', async () => {
    using clock = new CallClock(100, undefined);
    const slept = clock.sleep(30);
    await vi.advanceTimersByTimeAsync(30);
    await expect(slept).resolves.toBeUndefined();

    const [interrupted] = await Promise.allSettled([
      clock.sleep(1000),
      vi.advanceTimersByTimeAsync(70),
    ]);
    expect(interrupted).toMatchObject({ status: 'rejected', reason: { name: 'TimeoutError' } });
    await expect(clock.sleep(1)).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('leaves neither a timer nor a listener behind', () => {
    const caller = new AbortController();
    const added = vi.spyOn(caller.signal, 'addEventListener');
    const removed = vi.spyOn(caller.signal, 'removeEventListener');
    const clock = new CallClock(100, caller.signal);
    clock[Symbol.dispose]();
    expect(vi.getTimerCount()).toBe(0);
    expect(added).toHaveBeenCalledTimes(1);
    expect(removed.mock.calls[0]?.slice(0, 2)).toEqual(added.mock.calls[0]?.slice(0, 2));
    caller.abort();
    expect(clock.signal.aborted).toBe(false);
  });
});
