import type { RuntimeVerdict } from './runtime.ts';
import type { SwarmVerdict } from './swarm-way.ts';

/** How one of the ONNX project's tests came out, on ONNX Runtime alone and through the swarm. */
export interface Row {
  readonly test: string;
  readonly runtime: RuntimeVerdict;
  readonly swarm: SwarmVerdict;
}

/**
 * - `passed`: the runtime is right alone, and so is the swarm
 * - `refused`: the runtime is right alone, the swarm says on purpose that it does not take the model or the input
 * - `failed`: the runtime is right alone, the swarm is not; or the swarm ends in an error that says nothing to the caller
 * - `beyond`: the runtime itself is not right; the swarm says so or answers as it does
 */
export type Result = 'passed' | 'refused' | 'failed' | 'beyond';

/** What the runtime's own failures look like from outside: typed, and said to whoever can do something about it. */
const TYPED: ReadonlySet<string> = new Set([
  'ERR_INVALID_MODEL',
  'ERR_INVALID_INPUT',
  'ERR_EXECUTION',
]);

export function resultOf({ runtime, swarm }: Pick<Row, 'runtime' | 'swarm'>): Result {
  if (runtime.outcome === 'right') {
    if (swarm.outcome === 'right') return 'passed';
    return swarm.outcome === 'refused' ? 'refused' : 'failed';
  }
  const said = swarm.outcome === 'right' || swarm.outcome === 'wrong' || TYPED.has(swarm.code);
  return said ? 'beyond' : 'failed';
}

/** Classes of reasons, each by what its sentences have in common. */
const REFUSED_FOR: readonly (readonly [string, RegExp])[] = [
  ['an input without a shape', /without a shape/],
  ['an operator or domain that is not allowed', /uses operator/],
  ['a sequence, map or optional', /of type '(?:seq|map|optional|sparse_tensor)/],
  ['a datatype that requests cannot carry', /of type 'tensor\(/],
  ['a value that the runtime would change', /NUL character|expected 0 or 1/],
];

const BEYOND_FOR: readonly (readonly [string, RegExp])[] = [
  ['opset still under development', /Opset \d+ is under development/],
  [
    'no kernel for the operator',
    /implementation for|find kernel|not a registered|No Op registered/,
  ],
  [
    'its binding for Node carries no such type',
    /Unsupported data type|Tensor\.type is not supported|Non tensor type|^input of type|is no tensor/,
  ],
];

/** Why a test did not pass, as a class of reasons; empty for one that did. */
export function reasonOf(row: Row): string {
  const { runtime, swarm } = row;
  switch (resultOf(row)) {
    case 'passed':
      return '';
    case 'failed':
      return `${swarm.outcome} ${swarm.code}`.trimEnd();
    case 'refused':
      return classOf(REFUSED_FOR, swarm.reason) ?? 'another reason';
    default:
      if (runtime.outcome === 'wrong') return 'it answers otherwise than ONNX expects';
      if (runtime.outcome === 'dies') return 'its process dies';
      return classOf(BEYOND_FOR, runtime.reason) ?? `it is ${runtime.outcome} for another reason`;
  }
}

function classOf(classes: readonly (readonly [string, RegExp])[], reason: string) {
  return classes.find(([, pattern]) => pattern.test(reason))?.[0];
}

/** What a run amounts to. */
export interface Tally {
  readonly tests: number;
  readonly passed: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly failed: number;
  readonly beyond: Readonly<Record<string, number>>;
  /** Tests that ONNX Runtime's CPU provider passes by itself, through its binding for Node. */
  readonly supported: number;
  /** Passed of supported. */
  readonly ratio: number;
}

export function tallyOf(rows: readonly Row[]): Tally {
  const of = (result: Result) => rows.filter((row) => resultOf(row) === result);
  const passed = of('passed').length;
  const supported = rows.filter(({ runtime }) => runtime.outcome === 'right').length;
  return {
    tests: rows.length,
    passed,
    refused: countReasons(of('refused')),
    failed: of('failed').length,
    beyond: countReasons(of('beyond')),
    supported,
    ratio: supported === 0 ? 0 : Number((passed / supported).toFixed(4)),
  };
}

function countReasons(rows: readonly Row[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const row of rows) counts[reasonOf(row)] = (counts[reasonOf(row)] ?? 0) + 1;
  return Object.fromEntries(Object.entries(counts).toSorted(([, a], [, b]) => b - a));
}

/** The tally as a table, and each test that failed or was refused with its reason. */
export function formatTally(rows: readonly Row[]): string {
  const { tests, passed, refused, failed, beyond, supported, ratio } = tallyOf(rows);
  const line = (count: number, what: string) => `${String(count).padStart(6)}  ${what}`;
  const classes = (counts: Readonly<Record<string, number>>, what: string) =>
    Object.entries(counts).map(([reason, count]) => line(count, `${what}: ${reason}`));
  const told = rows.filter((row) => ['failed', 'refused'].includes(resultOf(row)));
  return [
    line(tests, 'tests of the ONNX project'),
    line(passed, 'passed through the swarm'),
    ...classes(refused, 'refused by us'),
    line(failed, 'failed'),
    ...classes(beyond, 'not supported by ONNX Runtime on the CPU'),
    ...(told.length === 0 ? [] : ['']),
    ...told.map((row) => `${resultOf(row)} ${row.test}: ${row.swarm.code} ${row.swarm.reason}`),
    '',
    `${passed} of ${supported} that ONNX Runtime passes by itself: ${ratio}`,
  ].join('\n');
}
