import { describe, expect, it } from 'vitest';
import { nodePriority, parseSchedule } from '../../../../src/gateway/infer-request.ts';

const of = (priority: number) => ({ priority, timeoutMs: undefined });

describe('nodePriority', () => {
  it('puts 1 first, then 2, and those without any last', () => {
    expect([1, 2, 254, 255, 256, 1e9, 0].map((priority) => nodePriority(of(priority)))).toEqual([
      255, 254, 2, 1, 1, 1, 0,
    ]);
  });

  it('goes no higher than the key allows', () => {
    expect(nodePriority(of(1), 10)).toBe(10);
    expect(nodePriority(of(250), 10)).toBe(6);
  });
});

describe('parseSchedule', () => {
  it('takes what is off for absent', () => {
    const off = { sequence_id: 0, sequence_start: false, timeout: 0, any_other: 'x' };
    expect(parseSchedule(off)).toEqual({ priority: 0, timeoutMs: undefined });
  });

  it.each([
    [{ sequence_id: 'a' }, /'sequence_id' is not supported/],
    [{ sequence_start: true }, /'sequence_start' is not supported/],
    [{ shared_memory_region: 'r' }, /share no memory/],
    [{ triton_mine: 1 }, /reserved for Triton usage/],
    [{ timeout: 1n << 70n }, /'timeout' is 1180591620717411303424/],
    // JSON's integers beyond 2^53 are bigints, which JSON.stringify does not take.
    [{ timeout: [-(1n << 53n)] }, /'timeout' is an array of 1, expected an integer/],
    [{ priority: { of: 1n << 53n } }, /'priority' is an object, expected an integer/],
  ])('refuses %o', (parameters, message) => {
    expect(() => parseSchedule(parameters)).toThrow(message);
  });
});
