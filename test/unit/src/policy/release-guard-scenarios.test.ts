import { describe, expect, it } from 'vitest';
import { LATENCY_BUCKETS, latencyBucket } from '../../../../protocols/outcome/index.ts';
import { type ResolvedReleaseGuard, resolveGuard } from '../../../../protocols/release/index.ts';
import {
  describeVerdict,
  type GuardReport,
  judgeRelease,
} from '../../../../src/policy/release-guard.ts';
import { readScenarios, type ScenarioStep } from '../../../support/scenario.ts';

const COUNTS = String.raw`(\d+) answered in ([\d.]+) ms, (\d+) failed`;
const REPORT = new RegExp(String.raw`^(\S+?)(?: ×(\d+))?: ${COUNTS}(?:; before: ${COUNTS})?$`);

/** Runs the commands of a guard's story: `guard` sets the bounds, `judge` is given what each peer counted. */
class GuardStory {
  #guard: ResolvedReleaseGuard = resolveGuard({});

  run({ command, input }: ScenarioStep): string {
    const [verb = '', ...settings] = command.split(' ');
    switch (verb) {
      case 'guard':
        this.#guard = resolveGuard(Object.fromEntries(settings.map(parseSetting)));
        return 'ok';
      case 'judge': {
        const verdict = judgeRelease(input.flatMap(parseReports), this.#guard);
        return `${verdict.tripped ? 'tripped' : 'holds'}: ${describeVerdict(verdict, this.#guard)}`;
      }
      default:
        throw new Error(`expected guard or judge, found ${verb}`);
    }
  }
}

function parseSetting(text: string): [string, number] {
  const [name = '', value = ''] = text.split('=');
  return [name, Number(value)];
}

function parseReports(line: string): GuardReport[] {
  const [, reporter, times, ...counts] = REPORT.exec(line) ?? [];
  if (reporter === undefined) throw new Error(`expected what a peer counted, found ${line}`);
  const [answered, ms, failed, answeredBefore, msBefore, failedBefore] = counts.map(Number);
  const report = {
    version: countsOf(answered, ms, failed),
    previous:
      counts[3] === undefined ? undefined : countsOf(answeredBefore, msBefore, failedBefore),
  };
  return Array.from({ length: Number(times ?? 1) }, (_, index) => ({
    reporter: times === undefined ? reporter : `${reporter}-${String(index).padStart(3, '0')}`,
    ...report,
  }));
}

function countsOf(answered = 0, ms = 0, failed = 0) {
  const latencies = Array.from<number>({ length: LATENCY_BUCKETS }).fill(0);
  latencies[latencyBucket(ms)] = answered;
  return { execution: failed, timeout: 0, latencies };
}

describe('judgeRelease', () => {
  for (const { name, steps } of readScenarios('release-guard')) {
    it(`tells the story ${name}`, () => {
      const story = new GuardStory();
      for (const step of steps) {
        expect(story.run(step), `${name}.txt, line ${step.line}`).toBe(step.expected);
      }
    });
  }
});
