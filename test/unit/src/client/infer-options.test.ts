import { expect, test } from 'vitest';
import { type InferOptions, resolveInferOptions } from '../../../../src/client/infer-options.ts';

const DEFAULTS = { deadlineMs: 30_000 };

test('resolveInferOptions fills in what a call leaves open', () => {
  expect(resolveInferOptions({}, DEFAULTS)).toEqual({
    signal: undefined,
    deadlineMs: 30_000,
    priority: 0,
    outputs: [],
    traceparent: '',
    tracestate: undefined,
    key: undefined,
    affinity: undefined,
    prefer: { zones: [], owners: [], nodes: [], providers: [], tags: [] },
    progress: undefined,
    receipt: false,
    verify: undefined,
  });
});

test('resolveInferOptions is content with no fewer owners than were asked for, unless the call says so', () => {
  const verify = (given: number | { replicas: number; atLeast?: number }) =>
    resolveInferOptions({ verify: given }, DEFAULTS).verify;
  expect(verify(3)).toEqual({ replicas: 3, atLeast: 3 });
  expect(verify({ replicas: 3, atLeast: 2 })).toEqual({ replicas: 3, atLeast: 2 });
  expect(() => verify(8)).toThrow('verify.replicas: expected an integer from 2 to 7, found 8');
});

test('resolveInferOptions keeps the lists of a preference that are given', () => {
  const { prefer } = resolveInferOptions({ prefer: { zones: ['attic'] } }, DEFAULTS);
  expect(prefer).toEqual({ zones: ['attic'], owners: [], nodes: [], providers: [], tags: [] });
});

test.each<[string, unknown, string]>([
  ['deadlineMs', 0, 'deadlineMs: expected more than 0 and at most 86400000 ms, found 0'],
  ['deadlineMs', Number.NaN, 'deadlineMs: expected more than 0'],
  ['deadlineMs', 86_400_001, 'found 86400001'],
  ['priority', 256, 'priority: expected an integer from 0 to 255, found 256'],
  ['priority', 0.5, 'found 0.5'],
  ['outputs', Array.from({ length: 1025 }, () => 'y'), 'outputs: expected at most 1024 names'],
  ['traceparent', 7, 'traceparent: expected a string, found 7'],
  ['tracestate', 7, 'tracestate: expected a string, found 7'],
  ['tracestate', 'a'.repeat(513), 'tracestate: expected at most 512 characters, found 513'],
  ['key', 'k'.repeat(1025), 'key: expected at most 1024 characters, found 1025'],
  ['affinity', 'k'.repeat(1025), 'affinity: expected at most 1024 characters, found 1025'],
  ['affinity', 7, 'affinity: expected a string, found 7'],
  ['prefer', { zones: 'attic' }, 'prefer.zones: expected at most 32 names, found string'],
  ['prefer', { nodes: Array.from({ length: 33 }, () => 'n') }, 'at most 32 names, found 33'],
  ['prefer', { owners: [''] }, 'prefer.owners[0]: expected a name of 1 to 128 characters'],
  ['onProgress', 'print', 'onProgress: expected a function, found "print"'],
  ['deadlineMs', '5', 'deadlineMs: expected more than 0 and at most 86400000 ms, found "5"'],
  ['outputs', 'y', 'outputs: expected an array of names, found "y"'],
  ['outputs', null, 'outputs: expected an array of names, found null'],
  ['outputs', ['y', 7], 'outputs[1]: expected a name, found 7'],
  ['signal', 'stop', 'signal: expected an AbortSignal, found "stop"'],
  ['signal', null, 'signal: expected an AbortSignal, found null'],
  ['signal', new AbortController(), 'signal: expected an AbortSignal, found an AbortController'],
  ['prefer', null, 'prefer: expected an object, found null, known are: zones, owners'],
  ['prefer', 'cpu', 'prefer: expected an object, found "cpu", known are: zones, owners'],
  ['verify', null, 'verify: expected an object, found null, known are: replicas, atLeast'],
  ['verify', true, 'verify: expected an object, found true, known are: replicas, atLeast'],
  ['prefer', { providers: [7] }, 'prefer.providers[0]: expected a name'],
  ['prefer', { zone: ['attic'] }, "infer option prefer: unknown 'zone', known are: zones, owners"],
  [
    'verify',
    { replicas: 3, atleast: 2 },
    "verify: unknown 'atleast', known are: replicas, atLeast",
  ],
  ['deadline', 5, "infer options: unknown 'deadline', known are: signal, deadlineMs"],
])('resolveInferOptions refuses %s %j by its name', (option, value, message) => {
  expect(() => resolveInferOptions({ [option]: value }, DEFAULTS)).toThrow(
    expect.objectContaining({
      code: 'ERR_INVALID_INPUT',
      message: expect.stringContaining(message),
    }),
  );
});

test.each<[unknown, string]>([
  [null, 'infer options: expected an object, found null, known are: signal, deadlineMs'],
  [500, 'infer options: expected an object, found 500, known are: signal, deadlineMs'],
  [[], 'infer options: expected an object, found an array of 0, known are: signal'],
])('resolveInferOptions refuses %j in place of options', (given, message) => {
  expect(() => resolveInferOptions(given as InferOptions, DEFAULTS)).toThrow(
    expect.objectContaining({
      code: 'ERR_INVALID_INPUT',
      message: expect.stringContaining(message),
    }),
  );
});

test.each<['deadlineMs' | 'priority' | 'key' | 'affinity', string | number]>([
  ['deadlineMs', 86_400_000],
  ['priority', 255],
  ['key', 'k'.repeat(1024)],
  ['affinity', 'k'.repeat(1024)],
])('resolveInferOptions takes %s at its bound', (option, value) => {
  expect(resolveInferOptions({ [option]: value }, DEFAULTS)[option]).toBe(value);
});

test('resolveInferOptions names a few of many unknown options, cut short, and none that is undefined', () => {
  const given: object = { a: 1, b: undefined, ['c'.repeat(99)]: 1, d: 1, e: 1, f: 1 };
  expect(() => resolveInferOptions(given, DEFAULTS)).toThrow(
    `infer options: unknown 'a', '${'c'.repeat(64)}…', 'd' and 2 more, known are: signal`,
  );
});
