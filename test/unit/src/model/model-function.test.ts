import { describe, expect, it } from 'vitest';
import {
  expandedNodeCount,
  type FunctionBody,
  mergeOperators,
  normaliseDomain,
  operatorKey,
} from '../../../../src/model/model-function.ts';

/** A body of one node per entry: `f` is a function of ours, all else an operator of ONNX. */
function body(name: string, calls: Readonly<Record<string, number>>): FunctionBody {
  const operators = Object.entries(calls).map(([type, count]) => {
    const domain = type.startsWith('f') ? 'own' : '';
    return [operatorKey(domain, type, ''), { domain, type, count }] as const;
  });
  const nodeCount = Object.values(calls).reduce((a, b) => a + b, 0);
  const domain = name === '' ? '' : 'own';
  return { domain, name, overload: '', nodeCount, operators: new Map(operators) };
}

describe('expandedNodeCount', () => {
  it('counts the nodes of a model without functions as they are', () => {
    expect(expandedNodeCount(body('', { Add: 3, Relu: 2 }), [])).toBe(5);
  });

  it('puts a function’s nodes in the place of each call', () => {
    const functions = [body('f1', { Add: 3 }), body('f2', { f1: 2, Mul: 1 })];
    expect(expandedNodeCount(body('', { f2: 10, Relu: 1 }), functions)).toBe(71);
  });

  it('sees a bomb of forty functions that each call the next one twice', () => {
    const functions = Array.from({ length: 40 }, (_, index) =>
      body(`f${index}`, index === 39 ? { Add: 1 } : { [`f${index + 1}`]: 2 }),
    );
    expect(expandedNodeCount(body('', { f0: 1 }), functions)).toBe(2 ** 39);
  });

  it('is infinite for a function that calls itself, directly or through another', () => {
    expect(expandedNodeCount(body('', { f1: 1 }), [body('f1', { f1: 1 })])).toBe(Infinity);
    const pair = [body('f1', { f2: 1 }), body('f2', { f1: 1 })];
    expect(expandedNodeCount(body('', { f1: 1 }), pair)).toBe(Infinity);
  });

  it('counts a recursion that nothing calls as nothing', () => {
    expect(expandedNodeCount(body('', { Add: 1 }), [body('f1', { f1: 1 })])).toBe(1);
  });

  it('counts thirty thousand functions that one body calls', () => {
    const functions = Array.from({ length: 30_000 }, (_, index) => body(`f${index}`, { Add: 2 }));
    const calls = Object.fromEntries(functions.map(({ name }) => [name, 1]));
    expect(expandedNodeCount(body('', calls), functions)).toBe(60_000);
  });

  it('walks ten thousand functions in a row without overflowing the stack', () => {
    const functions = Array.from({ length: 10_000 }, (_, index) =>
      body(`f${index}`, index === 9_999 ? { Add: 1 } : { [`f${index + 1}`]: 1, Add: 1 }),
    );
    expect(expandedNodeCount(body('', { f0: 1 }), functions)).toBe(10_000);
  });
});

describe('mergeOperators', () => {
  it('adds the counts of all bodies, most used first', () => {
    const merged = mergeOperators([body('', { Add: 1, Mul: 5 }), body('f1', { Add: 9 })]);
    expect(merged.map(({ type, count }) => [type, count])).toEqual([
      ['Add', 10],
      ['Mul', 5],
    ]);
  });
});

describe('normaliseDomain', () => {
  it('takes both names of ONNX’s own domain for one', () => {
    expect(['', 'ai.onnx', 'ai.onnx.ml'].map(normaliseDomain)).toEqual(['', '', 'ai.onnx.ml']);
  });
});
