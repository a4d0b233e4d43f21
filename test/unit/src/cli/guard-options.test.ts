import { describe, expect, it } from 'vitest';
import { DEFAULT_GUARD, resolveGuard } from '../../../../protocols/release/index.ts';
import { COMMANDS } from '../../../../src/cli/command-table.ts';
import { describeGuard, parseGuardOptions } from '../../../../src/cli/guard-options.ts';
import { refusal } from '../../../support/refusal.ts';

describe('parseGuardOptions', () => {
  it('sets no guard when none is asked for', () => {
    expect(parseGuardOptions({ name: 'digits' })).toBeUndefined();
  });

  it('sets one of defaults by --guard, and by any option that says more of it', () => {
    expect(resolveGuard(parseGuardOptions({ guard: true }) ?? {})).toEqual(DEFAULT_GUARD);
    expect(
      parseGuardOptions({
        ...{ maxErrorRate: '2%', maxLatencyRatio: '1.5', minSamples: '50' },
        ...{ minReporters: '4', guardWindow: '2m' },
      }),
    ).toEqual({
      maxErrorRate: 0.02,
      maxLatencyRatio: 1.5,
      minSamples: 50,
      minReporters: 4,
      windowMs: 120_000,
    });
    expect(parseGuardOptions({ minSamples: '50' })?.minSamples).toBe(50);
  });

  it.each([
    ['maxErrorRate', '--max-error-rate', '101%'],
    ['maxLatencyRatio', '--max-latency-ratio', '0.9'],
    ['minSamples', '--min-samples', '0'],
    ['minReporters', '--min-reporters', '1'],
    ['guardWindow', '--guard-window', '999ms'],
  ])('refuses a wrong %s by the name of its option', (name, flag, value) => {
    expect(() => parseGuardOptions({ [name]: value })).toThrow(
      refusal('ERR_CONFIG', new RegExp(`^${flag} is "${value}"`)),
    );
  });

  it('has the defaults that help tells', () => {
    const about = COMMANDS.find(({ path }) => path === 'release canary')
      ?.options?.map((option) => option.about)
      .join(' ');
    for (const text of ['5%', '2', '100', '3', '60s']) expect(about).toContain(`default: ${text})`);
    expect(describeGuard({})).toBe(
      'at most 5.0 % errors and 2 × the latency, from 100 requests by 3 peers within 1m',
    );
  });
});
