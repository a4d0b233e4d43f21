import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resolveGuard } from '../../../../protocols/release/index.ts';
import { judgeRelease } from '../../../../src/policy/release-guard.ts';

const count = fc.nat({ max: 1_000_000 });
const counts = fc.record({
  execution: count,
  timeout: count,
  latencies: fc.array(count, { maxLength: 40 }),
});
const maybe = fc.option(counts, { nil: undefined });
const guards = fc
  .record({
    maxErrorRate: fc.double({ min: 0.01, max: 0.9, noNaN: true }),
    maxLatencyRatio: fc.double({ min: 1, max: 10, noNaN: true }),
    minSamples: fc.integer({ min: 1, max: 1_000 }),
    minReporters: fc.integer({ min: 2, max: 6 }),
  })
  .map(resolveGuard);
/** A peer to which both versions are as good. */
const honest = fc.integer({ min: 0, max: 5_000 }).map((answered) => ({
  version: { execution: 0, timeout: 0, latencies: [0, 0, 0, answered] },
  previous: { execution: 0, timeout: 0, latencies: [0, 0, 0, answered] },
}));

describe('judgeRelease', () => {
  it('never trips on what one peer says, whatever it says and however few honest ones there are', () => {
    fc.assert(
      fc.property(
        guards,
        maybe,
        maybe,
        fc.array(honest, { maxLength: 12 }),
        fc.nat({ max: 12 }),
        (guard, version, previous, others, place) => {
          const reports = others.map((report, index) => ({ reporter: `peer-${index}`, ...report }));
          const liar = { reporter: `peer-${place}x`, version, previous };
          expect(judgeRelease([...reports, liar], guard).tripped).toBe(false);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('says the same in whatever order the reports come', () => {
    const reports = fc.array(fc.record({ version: maybe, previous: maybe }), { maxLength: 12 });
    fc.assert(
      fc.property(guards, reports, (guard, all) => {
        const named = all.map((report, index) => ({ reporter: `peer-${index}`, ...report }));
        expect(judgeRelease(named.toReversed(), guard)).toEqual(judgeRelease(named, guard));
      }),
    );
  });

  it.each([
    ['just at the allowed error rate', 95, 5, false],
    ['just above it', 94, 6, true],
  ])('holds or trips %s', (_, answered, execution, tripped) => {
    const version = { execution, timeout: 0, latencies: [answered] };
    const reports = ['a', 'b'].map((reporter) => ({ reporter, version, previous: undefined }));
    const guard = resolveGuard({ maxErrorRate: 0.05, minSamples: 200, minReporters: 2 });
    expect(judgeRelease(reports, guard).tripped).toBe(tripped);
  });

  it.each([
    ['the wanted samples', 100, true],
    ['one fewer', 99, false],
  ])('holds or trips with %s', (_, execution, tripped) => {
    const version = { execution, timeout: 0, latencies: [] };
    const reports = ['a', 'b'].map((reporter) => ({ reporter, version, previous: undefined }));
    const guard = resolveGuard({ minSamples: 200, minReporters: 2 });
    expect(judgeRelease(reports, guard).tripped).toBe(tripped);
  });

  it('counts a request that ran out of time as one that failed', () => {
    const version = { execution: 0, timeout: 50, latencies: [50] };
    const reports = ['a', 'b', 'c'].map((reporter) => ({ reporter, version, previous: undefined }));
    expect(judgeRelease(reports, resolveGuard({}))).toMatchObject({
      tripped: true,
      reason: 'errors',
      errorRate: 0.5,
    });
  });

  it('knows nothing from nobody', () => {
    expect(judgeRelease([], resolveGuard({}))).toEqual({
      tripped: false,
      reason: null,
      reporters: 0,
      samples: 0,
      witnesses: 0,
      errorVotes: 0,
      latencyVotes: 0,
      errorRate: null,
      previousErrorRate: null,
      latencyMs: null,
      previousLatencyMs: null,
    });
  });
});
