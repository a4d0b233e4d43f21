import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { failedCall, InferenceCall } from '../../../../src/client/inference-call.ts';

/** A call whose end is the test's to choose. */
function openCall() {
  const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
  const cancel = vi.fn<(reason: unknown) => void>((reason) => reject(reason));
  const call = new InferenceCall<readonly string[], string>({
    answer: promise,
    cancel,
    parts: (answer) => answer,
  });
  return { call, resolve, reject, cancel };
}

async function partsOf<Part>(call: AsyncIterable<Part>): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const part of call) parts.push(part);
  return parts;
}

/** Everything that Node reports as a rejection nobody handled, until the test ends. */
function unhandledRejections(): unknown[] {
  const reasons: unknown[] = [];
  const others = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection');
  const listener = (reason: unknown): void => void reasons.push(reason);
  process.on('unhandledRejection', listener);
  onTestFinished(() => {
    process.off('unhandledRejection', listener);
    for (const other of others) process.on('unhandledRejection', other);
  });
  return reasons;
}

describe('InferenceCall', () => {
  it('is a promise of the answer, and what is derived of it a plain one', async () => {
    const { call, resolve } = openCall();
    const derived = call.then((answer) => answer.length);
    resolve(['a', 'b']);
    expect(await call).toEqual(['a', 'b']);
    expect(await derived).toBe(2);
    expect(derived).not.toBeInstanceOf(InferenceCall);
    expect(await Promise.all([call, derived])).toEqual([['a', 'b'], 2]);
  });

  it('yields the parts of the answer, to as many as iterate it', async () => {
    const { call, resolve } = openCall();
    const both = Promise.all([partsOf(call), partsOf(call)]);
    resolve(['a', 'b']);
    expect(await both).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
  });

  it('rejects an iteration with what failed, and leaves nothing unhandled', async () => {
    const unhandled = unhandledRejections();
    const { call, reject } = openCall();
    const iteration = partsOf(call);
    const failure = new Error('no node');
    reject(failure);
    await expect(iteration).rejects.toBe(failure);
    await turn();
    expect(unhandled).toEqual([]);
  });

  it('rejects whoever waits with the reason it is cancelled for, an AbortError when none is given', async () => {
    const given = openCall();
    const reason = new Error('seen enough');
    given.call.cancel(reason);
    await expect(given.call).rejects.toBe(reason);

    const { call } = openCall();
    call.cancel();
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('leaves nothing unhandled when it is only cancelled, or left by using', async () => {
    const unhandled = unhandledRejections();
    openCall().call.cancel();
    const left = openCall();
    {
      using call = left.call;
      void call;
    }
    const ended = openCall();
    {
      await using call = ended.call;
      void call;
    }
    await turn();
    expect([left.cancel.mock.calls.length, ended.cancel.mock.calls.length]).toEqual([1, 1]);
    expect(unhandled).toEqual([]);
  });

  it('counts as unhandled when it fails and nobody ever asked', async () => {
    const unhandled = unhandledRejections();
    const { reject } = openCall();
    const failure = new Error('nobody looked');
    reject(failure);
    await turn();
    expect(unhandled).toContain(failure);
  });

  it('keeps its answer when it is cancelled too late', async () => {
    const { call, resolve } = openCall();
    resolve(['a']);
    await call;
    call.cancel();
    expect(await call).toEqual(['a']);
  });
});

describe('failedCall', () => {
  it('rejects to whoever awaits or iterates it', async () => {
    const failure = new Error('wrong reference');
    await expect(failedCall(failure)).rejects.toBe(failure);
    await expect(partsOf(failedCall(failure))).rejects.toBe(failure);
  });
});
