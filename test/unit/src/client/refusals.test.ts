import { describe, expect, it } from 'vitest';
import {
  BusyError,
  ConnectionError,
  ForbiddenError,
  LoadingError,
  type SwarmError,
} from '../../../../protocols/errors.ts';
import { Refusals } from '../../../../src/client/refusals.ts';

function refusals(...errors: readonly SwarmError[]): Refusals {
  const all = new Refusals();
  for (const error of errors) all.add(error);
  return all;
}

describe('Refusals', () => {
  it('tell of all that were busy the one that has room first', () => {
    const soonest = new BusyError('b', 120);
    const all = refusals(new BusyError('a', 900), soonest, new ConnectionError('gone'));
    expect(all.best).toBe(soonest);
    expect(all.pauseMs).toBe(120);
    expect(all.readyInMs).toBe(120);
  });

  it('tell of a node that loads when it is ready before any other has room', () => {
    const loading = new LoadingError('l', 300);
    expect(refusals(new BusyError('a', 900), loading).best).toBe(loading);
    const busy = new BusyError('a', 100);
    expect(refusals(busy, loading).best).toBe(busy);
    expect(refusals(busy, new LoadingError('l', null)).best).toBe(busy);
  });

  it('ask a node that loads for long again each second, and know when it will be ready', () => {
    const all = refusals(new LoadingError('l', 20_000));
    expect([all.pauseMs, all.readyInMs]).toEqual([1_000, 20_000]);
    const unknown = refusals(new LoadingError('l', null));
    expect([unknown.pauseMs, unknown.readyInMs]).toEqual([250, undefined]);
  });

  it('have no time to wait for when nobody was busy or loading', () => {
    const gone = new ConnectionError('gone');
    const all = refusals(gone);
    expect([all.pauseMs, all.readyInMs, all.best]).toEqual([undefined, undefined, gone]);
  });

  it('know when every node of a round refused for good, so that a wait changes nothing', () => {
    const no = new ForbiddenError('not you');
    expect(refusals().forbidden).toBe(false);
    expect(refusals(no, no).forbidden).toBe(true);
    expect(refusals(no, new ConnectionError('gone')).forbidden).toBe(false);
    const all = refusals(new ConnectionError('gone'));
    all.clear();
    all.add(no);
    expect(all.forbidden).toBe(true);
    all.clear();
    expect(all.forbidden).toBe(false);
  });

  it('keep what was heard last over a new round', () => {
    const all = refusals(new BusyError('a', 10));
    all.clear();
    expect(all.pauseMs).toBeUndefined();
    expect(all.best).toMatchObject({ code: 'ERR_BUSY' });
  });
});
