import { describe, expect, it } from 'vitest';
import {
  diurnalTrace,
  parseTrace,
  stepTrace,
  zipfShares,
} from '../../../../../src/sim/scaling/demand-trace.ts';

describe('parseTrace', () => {
  it('asks for each rate from its second on, and for nothing before the first', () => {
    const trace = parseTrace('# a morning\n10 5\n\n20   7.5\n');
    expect([0, 9_999, 10_000, 19_999, 20_000, 1e9].map(trace)).toEqual([0, 0, 5, 5, 7.5, 7.5]);
  });

  it.each([
    ['', /no line/],
    ['10', /line 1 of the trace is "10", expected a second and requests a second/],
    ['10 x', /line 1/],
    ['10 1 2', /line 1/],
    ['0 1\n10 -1', /line 2/],
    ['0 Infinity', /line 1/],
    ['10 1\n10 2', /line 2 of the trace is for second 10, expected a later one/],
  ])('refuses %j', (text, message) => {
    expect(() => parseTrace(text)).toThrow(message);
  });
});

describe('stepTrace and diurnalTrace', () => {
  it('go up and come back', () => {
    const step = stepTrace(2, { perS: 20, fromMs: 100, untilMs: 200 });
    expect([99, 100, 199, 200].map(step)).toEqual([2, 20, 20, 2]);
    const day = diurnalTrace(10, { swing: 0.5, dayMs: 1_000 });
    expect([0, 250, 500, 1_000].map((atMs) => Math.round(day(atMs)))).toEqual([5, 10, 15, 5]);
  });
});

describe('zipfShares', () => {
  it('add up to one, each rank with its share of the first', () => {
    const shares = zipfShares(4, 1);
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 9);
    expect((shares[0] ?? 0) / (shares[3] ?? 1)).toBeCloseTo(4, 9);
    expect(zipfShares(3, 0)).toEqual([1 / 3, 1 / 3, 1 / 3]);
  });
});
