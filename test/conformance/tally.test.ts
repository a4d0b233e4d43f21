import { expect, test } from 'vitest';
import type { RuntimeVerdict } from './runtime.ts';
import type { SwarmVerdict } from './swarm-way.ts';
import { type Row, reasonOf, resultOf, tallyOf } from './tally.ts';

const row = (runtime: Partial<RuntimeVerdict>, swarm: Partial<SwarmVerdict>): Row => ({
  test: 'node/test_x',
  runtime: { outcome: 'right', reason: '', ...runtime },
  swarm: {
    ...{ outcome: 'right', by: null, code: '', reason: '', publishMs: 0, inferMs: 0 },
    ...swarm,
  },
});

const PASSED = row({}, {});
const REFUSED = row(
  {},
  {
    outcome: 'refused',
    code: 'ERR_INVALID_MODEL',
    reason: "has input 'x' without a shape; declare one",
  },
);
const WRONG = row({}, { outcome: 'wrong', reason: 'element 0 is 1, expected 2' });
const BROKEN = row({ outcome: 'dies' }, { outcome: 'failed', code: 'ERR_INTERNAL' });
const DEAD = row(
  { outcome: 'dies', reason: 'SIGABRT' },
  { outcome: 'failed', code: 'ERR_EXECUTION' },
);
const ALIKE = row({ outcome: 'wrong' }, { outcome: 'wrong' });

test('resultOf calls only what a refusal explains refused, and what nothing explains failed', () => {
  expect([PASSED, REFUSED, WRONG, BROKEN, DEAD, ALIKE].map(resultOf)).toEqual([
    ...['passed', 'refused', 'failed', 'failed', 'beyond', 'beyond'],
  ]);
});

test('reasonOf puts refusals and limits of the runtime into classes', () => {
  expect([PASSED, REFUSED, WRONG, DEAD, ALIKE].map(reasonOf)).toEqual([
    '',
    'an input without a shape',
    'wrong',
    'its process dies',
    'it answers otherwise than ONNX expects',
  ]);
});

test('tallyOf divides what passed by what the runtime passes alone, refusals included', () => {
  expect(tallyOf([PASSED, PASSED, REFUSED, WRONG, DEAD])).toEqual({
    tests: 5,
    passed: 2,
    refused: { 'an input without a shape': 1 },
    failed: 1,
    beyond: { 'its process dies': 1 },
    supported: 4,
    ratio: 0.5,
  });
});
