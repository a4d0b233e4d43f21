import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { NodeId } from '../../../../protocols/types.ts';
import {
  type CallEvent,
  type CallProgress,
  ProgressReporter,
} from '../../../../src/client/call-progress.ts';

const FAILED: CallEvent = {
  kind: 'failed',
  node: 'node' as NodeId,
  code: 'ERR_BUSY',
  message: 'queue is full',
};

const sent = (bytes: number): CallEvent => ({
  kind: 'transfer',
  node: 'node' as NodeId,
  direction: 'request',
  bytes,
  totalBytes: 100,
});

describe('ProgressReporter', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  it('tells each event with the time since the call began', () => {
    const heard: CallProgress[] = [];
    const reporter = new ProgressReporter((progress) => heard.push(progress));
    reporter.report({ kind: 'resolving' });
    vi.advanceTimersByTime(40);
    reporter.report(FAILED);
    expect(heard).toEqual([
      { kind: 'resolving', elapsedMs: 0 },
      { ...FAILED, elapsedMs: 40 },
    ]);
  });

  it('tells of a transfer ten times a second, and of its end always', () => {
    const bytes: number[] = [];
    const reporter = new ProgressReporter((progress) => {
      if (progress.kind === 'transfer') bytes.push(progress.bytes);
    });
    for (const count of [1, 2, 3]) reporter.report(sent(count));
    vi.advanceTimersByTime(100);
    for (const count of [4, 5, 100]) reporter.report(sent(count));
    expect(bytes).toEqual([1, 4, 100]);
  });

  it('leaves out what is more than 32 events at once and 20 a second', () => {
    let heard = 0;
    const reporter = new ProgressReporter(() => {
      heard += 1;
    });
    for (let count = 0; count < 100; count += 1) reporter.report(FAILED);
    expect(heard).toBe(32);
    vi.advanceTimersByTime(500);
    for (let count = 0; count < 100; count += 1) reporter.report(FAILED);
    expect(heard).toBe(42);
  });

  it('tells nothing more to a listener that threw, and warns of it once', () => {
    const warning = vi.spyOn(process, 'emitWarning').mockReturnValue();
    let heard = 0;
    const reporter = new ProgressReporter(() => {
      heard += 1;
      throw new Error('no such element');
    });
    expect(() => reporter.report(FAILED)).not.toThrow();
    reporter.report(FAILED);
    expect(heard).toBe(1);
    expect(warning.mock.calls).toEqual([
      ['onProgress threw and is told nothing more of its call: no such element'],
    ]);
  });

  it('tells nothing more to a listener whose promise rejects, warns of it once, and leaves no rejection unhandled', async () => {
    const warned = vi.fn<(message: string) => void>();
    const warning = vi.spyOn(process, 'emitWarning').mockImplementation((message) => {
      warned(String(message));
    });
    let heard = 0;
    const reporter = new ProgressReporter(async () => {
      heard += 1;
      throw new Error('no such element');
    });
    reporter.report(FAILED);
    reporter.report(FAILED);
    await vi.waitFor(() => expect(warning).toHaveBeenCalled());
    reporter.report(FAILED);
    expect(heard).toBe(2);
    expect(warned.mock.calls).toEqual([
      ['onProgress threw and is told nothing more of its call: no such element'],
    ]);
  });
});
