import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type {
  LoadedModel,
  ModelState,
  RunOptions,
  RunResult,
} from '../../../node/backend/backend.ts';
import { InferenceService, type InferenceServiceInit } from '../../../node/inference-service.ts';
import { Replica } from '../../../node/replica/replica.ts';
import { VersionQueue, type VersionQueueInit } from '../../../node/scheduler/version-queue.ts';
import {
  type BusyError,
  ExecutionError,
  isSwarmError,
  LoadingError,
} from '../../../protocols/errors.ts';
import { Cancellation, type RequestHeader } from '../../../protocols/inference/index.ts';
import { failureFromError } from '../../../protocols/status.ts';
import { type NamedTensor, Tensor } from '../../../protocols/tensor.ts';
import type { PublisherId, TensorDescriptor, VersionCid } from '../../../protocols/types.ts';
import { DemandMeter } from '../../../src/policy/scaling/demand-meter.ts';
import type { RequestOutcome } from '../../../src/swarm/outcome-tally.ts';
import { TURN_EACH } from '../../support/held-queue.ts';
import { refusal } from '../../support/refusal.ts';

const CID = 'version' as VersionCid;
const IDLE = { inFlight: 0, queued: 0, slots: 1, serviceMs: null };

/** Rows of four numbers in, `sum` out; its runs end when a test says so. */
class HeldModel implements LoadedModel {
  readonly inputs = [{ name: 'x', datatype: 'FP32', shape: ['batch', 4] }] as const;
  readonly outputs = [{ name: 'sum', datatype: 'FP32', shape: ['batch', 4] }] as const;
  readonly provider = 'cpu';
  readonly memoryBytes = null;
  state: ModelState = 'ready';
  readonly runs: { options: RunOptions; end: (end: RunResult | Error) => void }[] = [];

  onStateChange(): void {}

  run(_: readonly NamedTensor[], options: RunOptions): Promise<RunResult> {
    return new Promise((resolve, reject) => {
      const end = (result: RunResult | Error): void =>
        result instanceof Error ? reject(result) : resolve(result);
      this.runs.push({ options, end });
    });
  }

  async unload(): Promise<void> {}
}

interface PreparedInit extends Partial<InferenceServiceInit> {
  readonly queue?: Partial<VersionQueueInit>;
}

/** A service with one version, ready; nothing else of a node. */
function prepare({ queue: queueInit, ...init }: PreparedInit = {}) {
  const model = new HeldModel();
  const queue = new VersionQueue(model, {
    ...{ maxQueued: 8, executionLimitMs: 10_000, clock: TURN_EACH },
    ...queueInit,
  });
  const replica = new Replica({ publisher: 'publisher' as PublisherId, name: 'adder', cid: CID });
  replica.loaded(model, queue);
  const outcomes: { readonly outcome: RequestOutcome; readonly caller: string }[] = [];
  /** What whoever asked for it heard of how requests ended. */
  const endings: unknown[] = [];
  const woken = new LoadingError('version is being loaded', 700);
  const meter = new DemandMeter({ stableWindowMs: 60_000, panicWindowMs: 6_000 });
  const service = new InferenceService(
    {
      replicas: { get: (cid) => (cid === CID ? replica : undefined), wake: () => woken },
      sequenceOf: () => 7,
      countOutcome: (_, outcome, caller) => outcomes.push({ outcome, caller }),
      demand: () => meter,
      requests: {
        answered: ({ name }, { queueMs, executeMs }) =>
          endings.push([name, 'answered', queueMs, executeMs]),
        failed: (origin, error) => endings.push([origin?.name, codeOf(error)]),
        cancelled: ({ name }) => endings.push([name, 'cancelled']),
      },
    },
    { allowCallers: 'any', maxRequestBytes: 1_000, ...init },
  );
  const admit = (header: Partial<RequestHeader> = {}, caller = 'caller', bodyBytes = 16) =>
    service.admit(headerOf(header), { caller, bodyBytes });
  return { service, model, queue, replica, outcomes, endings, woken, meter, admit };
}

function codeOf(error: unknown): string {
  return isSwarmError(error) ? error.code : String(error);
}

const X: TensorDescriptor = { name: 'x', datatype: 'FP32', shape: [1, 4], byteLength: 16 };
const ROW = [{ name: 'x', tensor: Tensor.from('FP32', [1, 4], [1, 2, 3, 4]) }];
const SUM = [{ name: 'sum', tensor: Tensor.from('FP32', [1, 4], [2, 3, 4, 5]) }];

function headerOf(changes: Partial<RequestHeader>): RequestHeader {
  const wants = { outputs: [], responseCredit: 0, inputs: [X] };
  return { version: CID, deadlineMs: 1_000, priority: 0, traceparent: '', ...wants, ...changes };
}

/** A signal that nobody aborts. */
const uncancelled = () => new Cancellation();

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('InferenceService.admit', () => {
  it('lets a request in by its header, and says nothing to the model yet', () => {
    const { admit, model, replica } = prepare();
    expect(admit()).toMatchObject({ execute: expect.any(Function) });
    expect(model.runs).toEqual([]);
    // Its body is on its way: the version stays for it.
    expect(replica.standing.busy).toBe(true);
  });

  it('refuses callers that are not on the list, before it says anything of its versions', () => {
    const { admit } = prepare({ allowCallers: ['friend'] });
    expect(() => admit({}, 'friend')).not.toThrow();
    expect(() => admit({ version: 'other' as VersionCid })).toThrow(
      refusal('ERR_FORBIDDEN', 'this node does not answer caller caller'),
    );
  });

  it('refuses everything while it drains, with a time to come back', () => {
    const { admit, service } = prepare();
    service.drain();
    expect(refused(admit)).toMatchObject({ code: 'ERR_BUSY', retryAfterMs: 1_000 });
  });

  it('refuses with the reason of a pause, until the pause ends', () => {
    const { admit, service } = prepare();
    service.pause('by its owner');
    expect(refused(admit)).toMatchObject({
      code: 'ERR_BUSY',
      message: 'this node is paused: by its owner',
      retryAfterMs: 10_000,
    });
    service.pause(undefined);
    expect(() => admit()).not.toThrow();
  });

  it('refuses versions it does not hold, and those that are gone', async () => {
    const { admit, replica } = prepare();
    const message = /^this node does not hold version/;
    expect(() => admit({ version: 'other' as VersionCid })).toThrow(
      refusal('ERR_NOT_FOUND', message),
    );
    await replica.unload();
    expect(() => admit()).toThrow(refusal('ERR_NOT_FOUND', message));
  });

  it('refuses one that loads with the time that is left, and has a cold one loaded', async () => {
    const { admit, replica, woken } = prepare();
    replica.loading(5_000);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(refused(admit)).toMatchObject({ code: 'ERR_LOADING', etaMs: 3_000 });
    await replica.sleep();
    expect(refused(admit)).toBe(woken);
    await replica.quarantine('crashed');
    expect(refused(admit)).toBe(woken);
  });

  it('refuses one whose process is being restarted', () => {
    const { admit, model } = prepare();
    model.state = 'restarting';
    expect(() => admit()).toThrow(refusal('ERR_LOADING', /is still loading$/));
  });

  it('takes bodies of the largest size and not a byte more', () => {
    const { admit } = prepare();
    expect(() => admit({}, 'caller', 1_000)).not.toThrow();
    expect(() => admit({}, 'caller', 1_001)).toThrow(
      refusal('ERR_LIMIT', 'request has 1001 bytes of tensors, this node takes at most 1000'),
    );
  });

  it.each<[string, Partial<RequestHeader>, RegExp]>([
    ['a name', { inputs: [{ ...X, name: 'y' }] }, /^unknown input 'y'/],
    ['a datatype', { inputs: [{ ...X, datatype: 'FP64' }] }, /has datatype FP64, expected FP32$/],
    [
      'a shape',
      { inputs: [{ ...X, shape: [1, 5] }] },
      /has shape \[1, 5\], expected \[batch, 4\]$/,
    ],
    ['a missing input', { inputs: [] }, /^input 'x' is missing/],
    [
      'a wanted output',
      { outputs: ['sum', 'y'] },
      /^unknown output 'y', the model has outputs 'sum'$/,
    ],
  ])('refuses by the header what does not fit the model: %s', (_, header, message) => {
    expect(() => prepare().admit(header)).toThrow(refusal('ERR_INVALID_INPUT', message));
  });

  it('refuses by the queue with retryAfterMs, the estimate and the load, in words and in numbers', async () => {
    const { admit, service, model } = prepare({ queue: { maxQueued: 3 } });
    const first = admit().execute(ROW, uncancelled());
    await vi.advanceTimersByTimeAsync(100);
    model.runs[0]?.end({ outputs: SUM, executeMs: 100 });
    await first;
    const admissions = ['a', 'b', 'c', 'd'].map((caller) => admit({}, caller));
    const pending = admissions.map((one) => one.execute(ROW, uncancelled()).catch(() => 'gone'));
    const full = refused(admit) as BusyError;
    expect(full).toMatchObject({
      code: 'ERR_BUSY',
      message: 'queue holds 3 requests, some 400 ms of work, expected fewer than 3',
      details: { queued: 3, maxQueued: 3, waitMs: 400, retryAfterMs: 200 },
    });
    expect(failureFromError(full)).toMatchObject({ afterMs: 200 });
    expect(service.load(CID)).toEqual({ inFlight: 1, queued: 3, slots: 1, serviceMs: 100 });
    for (const run of [1, 2, 3, 4]) {
      await vi.advanceTimersByTimeAsync(1);
      model.runs[run]?.end({ outputs: SUM, executeMs: 1 });
    }
    await Promise.all(pending);
  });

  it('refuses one that would be done after its deadline, by its elements and not by its number', async () => {
    const { admit, model } = prepare({ maxRequestBytes: 100_000 });
    const first = admit().execute(ROW, uncancelled());
    await vi.advanceTimersByTimeAsync(100);
    model.runs[0]?.end({ outputs: SUM, executeMs: 100 });
    await first;
    void admit().execute(ROW, uncancelled());
    const wide = { inputs: [{ ...X, shape: [10, 4], byteLength: 160 }] };
    // What runs has 100 ms to go; four elements took 100 ms, forty should take ten times as long.
    expect(() => admit({ deadlineMs: 200 })).not.toThrow();
    expect(() => admit({ ...wide, deadlineMs: 1_100 })).not.toThrow();
    expect(() => admit({ ...wide, deadlineMs: 1_099 })).toThrow(
      refusal(
        'ERR_BUSY',
        'wait and execution would be 1100 ms, expected at most the deadline of 1099 ms',
      ),
    );
  });
});

describe('InferenceService, executing what it admitted,', () => {
  it('answers with the outputs, the times, the load and the release sequence, and counts the answer', async () => {
    const { admit, model, outcomes, replica } = prepare();
    const answer = admit({ outputs: ['sum'] }).execute(ROW, uncancelled());
    expect(model.runs[0]?.options.outputs).toEqual(['sum']);
    await vi.advanceTimersByTimeAsync(30);
    model.runs[0]?.end({ outputs: SUM, executeMs: 20 });
    expect(await answer).toEqual({
      outputs: SUM,
      queueMs: 0,
      executeMs: 20,
      load: { ...IDLE, serviceMs: 30 },
      releaseSequence: 7,
    });
    expect(outcomes).toEqual([{ outcome: { kind: 'answered', latencyMs: 20 }, caller: 'caller' }]);
    expect(replica.standing.busy).toBe(false);
  });

  it('counts the time of the body as the caller’s: its deadline is that of the header', async () => {
    const { admit } = prepare();
    const admission = admit({ deadlineMs: 500 });
    await vi.advanceTimersByTimeAsync(500);
    await expect(admission.execute(ROW, uncancelled())).rejects.toMatchObject({
      code: 'ERR_DEADLINE',
      phase: 'queue',
    });
  });

  it('takes a request that is cancelled out of the queue at once, and abandons one that runs', async () => {
    const { admit, service, model, outcomes } = prepare();
    const cancels = [new Cancellation(), new Cancellation()];
    const both = cancels.map((cancellation) => admit().execute(ROW, cancellation));
    expect(service.load(CID)).toMatchObject({ inFlight: 1, queued: 1 });
    const reason = new DOMException('cancelled by the caller', 'AbortError');
    for (const cancellation of cancels) cancellation.cancel(reason);
    expect(service.load(CID)).toMatchObject({ inFlight: 1, queued: 0 });
    for (const one of both) await expect(one).rejects.toBe(reason);
    // Nothing tells the process: others share it.
    expect(model.runs).toHaveLength(1);
    expect(model.runs[0]?.options.signal).toBeUndefined();
    expect(outcomes).toEqual([]);
  });

  it('abandons what runs when its deadline passes, and counts what took the version so long', async () => {
    const { admit, outcomes } = prepare();
    const late = admit({ deadlineMs: 2_000 })
      .execute(ROW, uncancelled())
      .catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(2_001);
    expect(await late).toMatchObject({ code: 'ERR_DEADLINE', phase: 'execute' });
    expect(outcomes).toMatchObject([{ outcome: { kind: 'timeout' } }]);
  });

  it('counts failures of the version, and none of the input', async () => {
    const { admit, model, outcomes, replica } = prepare();
    const failing = admit().execute(ROW, uncancelled());
    model.runs[0]?.end(new ExecutionError('divides by zero'));
    await expect(failing).rejects.toMatchObject({ code: 'ERR_EXECUTION' });
    expect(outcomes).toMatchObject([{ outcome: { kind: 'execution' } }]);
    expect(replica.standing.busy).toBe(false);
  });

  it('says that it loads when the version has left memory while the body came', async () => {
    const { admit, replica } = prepare();
    const admission = admit();
    await replica.sleep();
    await expect(admission.execute(ROW, uncancelled())).rejects.toMatchObject({
      code: 'ERR_LOADING',
    });
  });
});

describe('InferenceService telling how requests ended', () => {
  it('tells of each once: answered with its times, failed, cancelled, or refused by its header', async () => {
    const { admit, endings, model, replica } = prepare({ queue: { maxQueued: 1 } });
    const [first, second] = [admit().execute(ROW, uncancelled()), new Cancellation()];
    const cancelled = admit().execute(ROW, second);
    expect(refused(() => admit({ again: true }))).toMatchObject({ code: 'ERR_BUSY' });
    second.cancel(new DOMException('cancelled by the caller', 'AbortError'));
    await expect(cancelled).rejects.toThrow('cancelled by the caller');
    model.runs[0]?.end({ outputs: SUM, executeMs: 4 });
    await first;
    const failing = admit().execute(ROW, uncancelled());
    model.runs[1]?.end(new ExecutionError('divides by zero'));
    await expect(failing).rejects.toMatchObject({ code: 'ERR_EXECUTION' });
    const late = admit();
    await replica.sleep();
    await expect(late.execute(ROW, uncancelled())).rejects.toMatchObject({ code: 'ERR_LOADING' });
    expect(endings).toEqual([
      ['adder', 'ERR_BUSY'],
      ['adder', 'cancelled'],
      ['adder', 'answered', 0, 4],
      ['adder', 'ERR_EXECUTION'],
      ['adder', 'ERR_LOADING'],
    ]);
  });

  it('names no version that is not held here, and tells of callers that are not on the list', () => {
    const { admit, endings } = prepare({ allowCallers: ['friend'] });
    refused(() => admit());
    refused(() => admit({ version: 'other' as VersionCid }, 'friend'));
    expect(endings).toEqual([
      ['adder', 'ERR_FORBIDDEN'],
      [undefined, 'ERR_NOT_FOUND'],
    ]);
  });
});

describe('InferenceService.load', () => {
  it('says of a version how busy it is, and of one it does not know that nothing is', () => {
    const { admit, service } = prepare();
    void admit().execute(ROW, uncancelled());
    void admit().execute(ROW, uncancelled());
    expect(service.load(CID)).toMatchObject({ inFlight: 1, queued: 1 });
    expect(service.load('other' as VersionCid)).toEqual(IDLE);
    expect(service.load()).toEqual(IDLE);
  });
});

describe('InferenceService.execute', () => {
  it.each([
    ['by nobody but its sender where anybody may call', 'any', ['anna', 'bert']],
    ['by all where the owner has named the callers', ['anna', 'bert'], ['bert', 'anna']],
  ] as const)('has a priority believed %s', async (_, allowCallers, order) => {
    const { model, admit } = prepare({ allowCallers });
    const done: string[] = [];
    const send = async (caller: string, priority: number) => {
      await admit({ priority }, caller).execute(ROW, uncancelled());
      done.push(caller);
    };
    const first = send('anna', 0);
    const waiting = [send('anna', 0), send('bert', 255)];
    for (let run = 0; run < 3; run += 1) {
      await vi.waitFor(() => expect(model.runs).toHaveLength(run + 1));
      model.runs[run]?.end({ outputs: SUM, executeMs: 1 });
    }
    await Promise.all([first, ...waiting]);
    expect(done.slice(1)).toEqual(order);
  });
});

describe('InferenceService counting demand', () => {
  it('counts a request once: taken in, refused for want of room, or asked for while it is not loaded', async () => {
    const { admit, meter, model, replica } = prepare({ queue: { maxQueued: 1 } });
    const perS = () => {
      const { arrivalsPerS, refusalsPerS, coldMissesPerS } = meter.read(performance.now()).panic;
      return [arrivalsPerS, refusalsPerS, coldMissesPerS].map((rate) => Math.round(6 * rate));
    };
    const runs = [admit().execute(ROW, uncancelled()), admit().execute(ROW, uncancelled())];
    expect(perS()).toEqual([2, 0, 0]);
    expect(refused(() => admit())).toMatchObject({ code: 'ERR_BUSY' });
    expect(refused(() => admit({ again: true }))).toMatchObject({ code: 'ERR_BUSY' });
    expect(perS()).toEqual([2, 1, 0]);
    model.runs[0]?.end({ outputs: SUM, executeMs: 4 });
    await vi.waitFor(() => expect(model.runs).toHaveLength(2));
    model.runs[1]?.end({ outputs: SUM, executeMs: 4 });
    await Promise.all(runs);
    const again = admit({ again: true }).execute(ROW, uncancelled());
    model.runs[2]?.end({ outputs: SUM, executeMs: 4 });
    await again;
    expect(perS()).toEqual([2, 1, 0]);
    expect(meter.read(performance.now()).serviceTimeMs).toBe(4);
    await replica.sleep();
    expect(refused(() => admit())).toMatchObject({ code: 'ERR_LOADING' });
    expect(perS()).toEqual([2, 1, 1]);
  });

  it('counts neither what the caller did wrong nor what is not held here', () => {
    const { admit, meter } = prepare();
    expect(refused(() => admit({ version: 'other' as VersionCid }))).toMatchObject({
      code: 'ERR_NOT_FOUND',
    });
    expect(refused(() => admit({ inputs: [] }))).toMatchObject({ code: 'ERR_INVALID_INPUT' });
    expect(meter.read(performance.now()).panic).toEqual({
      arrivalsPerS: 0,
      refusalsPerS: 0,
      coldMissesPerS: 0,
    });
  });
});

/** What a call throws. */
function refused(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('it was let in');
}
