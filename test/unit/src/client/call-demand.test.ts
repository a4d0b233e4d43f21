import { describe, expect, it } from 'vitest';
import { BusyError, ConnectionError } from '../../../../protocols/errors.ts';
import { CallDemand } from '../../../../src/client/call-demand.ts';

describe('CallDemand', () => {
  it('says of the first request alone that it was not counted before', async () => {
    const demand = new CallDemand();
    const told: boolean[] = [];
    const held = Promise.withResolvers<string>();
    const first = demand.send((again) => {
      told.push(again);
      return held.promise;
    });
    const hedge = demand.send(async (again) => told.push(again));
    held.resolve('answer');
    expect(await first).toBe('answer');
    await hedge;
    await demand.send(async (again) => told.push(again));
    expect(told).toEqual([false, true, true]);
  });

  it('is not counted by a node that was not reached, and is by one that refused it', async () => {
    const demand = new CallDemand();
    const fail = (error: Error) =>
      demand.send(async (again) => {
        throw again ? new Error('again') : error;
      });
    const unreachable = new ConnectionError('no answer');
    await expect(fail(unreachable)).rejects.toBe(unreachable);
    expect(demand.counted).toBe(false);
    const busy = new BusyError('full', 10);
    await expect(fail(busy)).rejects.toBe(busy);
    expect(demand.counted).toBe(true);
    await expect(fail(busy)).rejects.toThrow('again');
  });
});
