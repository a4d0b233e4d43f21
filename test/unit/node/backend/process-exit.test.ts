import { describe, expect, test } from 'vitest';
import {
  describeExit,
  isFault,
  memoryVerdict,
  type ProcessExit,
} from '../../../../node/backend/process-exit.ts';

const exit = (given: Partial<ProcessExit>): ProcessExit => ({
  code: null,
  signal: null,
  stderr: '',
  breach: undefined,
  ...given,
});

const stoppedByWatchdog = exit({ signal: 'SIGKILL', stderr: 'x\n\nmemory-limit-passed 2048\n' });

describe('isFault', () => {
  test.each<[what: string, given: ProcessExit, fault: boolean]>([
    ['a fault in native code', exit({ signal: 'SIGFPE' }), true],
    ['an abort', exit({ signal: 'SIGABRT' }), true],
    ['a kill from outside is none', exit({ signal: 'SIGKILL' }), false],
    ['a request to end is none', exit({ signal: 'SIGTERM' }), false],
    ['too much memory', stoppedByWatchdog, true],
    ['a broken pipe protocol', exit({ signal: 'SIGKILL', breach: 'frame of 9 bytes' }), true],
    ['an exit code', exit({ code: 134 }), true],
    ['an end in order is none', exit({ code: 0 }), false],
  ])('%s', (_, given, fault) => {
    expect(isFault(given)).toBe(fault);
  });
});

describe('describeExit', () => {
  test.each<[given: ProcessExit, text: string]>([
    [exit({ signal: 'SIGSEGV' }), 'was killed by SIGSEGV'],
    [stoppedByWatchdog, 'was stopped at 2048 bytes of memory, expected at most 1024'],
    [exit({ code: 3 }), 'ended with code 3'],
    [
      exit({ code: 1, stderr: 'at x\nError: no such thing\n\nNode.js v24\n' }),
      'ended with code 1: Error: no such thing',
    ],
    [
      exit({ signal: 'SIGKILL', breach: 'answer 9 to no run under way' }),
      'was killed because it broke the protocol of its pipe: answer 9 to no run under way',
    ],
    [exit({ stderr: 'Error: spawn EAGAIN' }), 'ended with code unknown: Error: spawn EAGAIN'],
  ])('%o', (given, text) => {
    expect(describeExit(given, 1024)).toBe(text);
  });

  test('bounds what the child wrote', () => {
    const stderr = `Error: ${'x'.repeat(10_000)}`;
    expect(describeExit(exit({ code: 1, stderr }), 0).length).toBeLessThan(600);
  });
});

describe('memoryVerdict', () => {
  test('is the last the watchdog wrote, and undefined when it wrote none', () => {
    const stderr = 'memory-limit-passed 1\nmemory-limit-passed 22\n';
    expect(memoryVerdict(exit({ stderr }))).toBe(22);
    expect(memoryVerdict(exit({ stderr: 'Error' }))).toBeUndefined();
  });
});
