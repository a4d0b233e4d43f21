import { type ReleaseGuard, resolveGuard } from '../../protocols/release/index.ts';
import type { CommandOptions } from './command-spec.ts';
import { formatShare } from './figures.ts';
import { formatDuration, parseDuration, parseNumber, parseShare } from './quantity.ts';

/**
 * The guard that the options ask for; undefined when none of them is given.
 *
 * @throws {ERR_CONFIG} naming the option that is wrong.
 */
export function parseGuardOptions(options: CommandOptions): ReleaseGuard | undefined {
  const given = (name: string): string | undefined => {
    const value = options[name];
    return typeof value === 'string' ? value : undefined;
  };
  const read = <T>(name: string, parse: (text: string) => T): T | undefined => {
    const text = given(name);
    return text === undefined ? undefined : parse(text);
  };
  const count = (where: string, low: number, high: number) => (text: string) =>
    Math.trunc(parseNumber(text, where, [low, high]));
  const guard: ReleaseGuard = {
    maxErrorRate: read('maxErrorRate', (text) => parseShare(text, '--max-error-rate')),
    maxLatencyRatio: read('maxLatencyRatio', (text) =>
      parseNumber(text, '--max-latency-ratio', [1, 1000]),
    ),
    minSamples: read('minSamples', count('--min-samples', 1, 1_000_000)),
    minReporters: read('minReporters', count('--min-reporters', 2, 1000)),
    windowMs: read('guardWindow', (text) =>
      parseDuration(text, '--guard-window', [1_000, 86_400_000]),
    ),
  };
  const asked = options['guard'] === true || Object.values(guard).some((v) => v !== undefined);
  return asked ? guard : undefined;
}

/** A guard in one line for people. */
export function describeGuard(guard: ReleaseGuard): string {
  const { maxErrorRate, maxLatencyRatio, minSamples, minReporters, windowMs } = resolveGuard(guard);
  return `at most ${formatShare(maxErrorRate)} errors and ${maxLatencyRatio} × the latency, from ${minSamples} requests by ${minReporters} peers within ${formatDuration(windowMs)}`;
}
