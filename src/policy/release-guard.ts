import {
  answeredCount,
  failedCount,
  LATENCY_BUCKETS,
  latencyQuantileMs,
  type VersionOutcome,
} from '../../protocols/outcome/index.ts';
import type { ResolvedReleaseGuard } from '../../protocols/release/index.ts';
import { median } from './median.ts';

/** What one peer counted of a guarded version and of the one it is measured against. */
export interface GuardReport {
  readonly reporter: string;
  readonly version: Counts | undefined;
  readonly previous: Counts | undefined;
}

type Counts = Omit<VersionOutcome, 'cid'>;

/** Requests of the version before, and answered ones of both, from which a witness compares. */
const MIN_COMPARED_SAMPLES = 10;

/** How many times as often as the version before the guarded one must fail: two samples of one rate differ by chance. */
const ERROR_RATE_MARGIN = 1.5;

/** Whether a version is to be left, and what that rests on. */
export interface GuardVerdict {
  readonly tripped: boolean;
  readonly reason: 'errors' | 'latency' | null;
  /** Peers that counted at least one request of the version. */
  readonly reporters: number;
  /** Requests of the version that they counted. */
  readonly samples: number;
  /** Peers, or groups of peers with few requests each, that have counted enough to be heard. */
  readonly witnesses: number;
  /** Witnesses that say it fails too often, and that say it is too slow. */
  readonly errorVotes: number;
  readonly latencyVotes: number;
  /** Of the middle witness; null without one. */
  readonly errorRate: number | null;
  readonly previousErrorRate: number | null;
  readonly latencyMs: number | null;
  readonly previousLatencyMs: number | null;
}

/** One vote: a peer, or several that counted too little to be heard alone. */
interface Witness {
  readonly errorRate: number;
  /** Null when it counted too little of the version before. */
  readonly previousErrorRate: number | null;
  readonly latencyMs: number | null;
  readonly previousLatencyMs: number | null;
}

/**
 * Whether a guard trips, from what distinct peers counted.
 *
 * Each witness compares what it saw of the version with what it itself saw of the version before, and has one vote whatever
 * it claims to have counted; the guard trips when at least `minReporters` and more than half of them say the same. A liar
 * spoils one vote. Peers with few requests are pooled, in the order of their ids, until they have a witness's worth,
 * `minSamples ÷ minReporters`: a median over single coin tosses would say nothing of the coin, one over means does.
 *
 * @see Lugosi, Mendelson: Mean estimation and regression under heavy-tailed distributions, 2019, section 2.1 (median of means)
 */
export function judgeRelease(
  reports: readonly GuardReport[],
  guard: ResolvedReleaseGuard,
): GuardVerdict {
  const heard = reports.filter(({ version }) => sampleCount(version) > 0);
  const samples = heard.reduce((sum, { version }) => sum + sampleCount(version), 0);
  const witnesses = gatherWitnesses(heard, Math.ceil(guard.minSamples / guard.minReporters));
  const errorVotes = witnesses.filter((witness) => failsTooOften(witness, guard)).length;
  const comparing = witnesses.filter(({ latencyMs, previousLatencyMs }) =>
    [latencyMs, previousLatencyMs].every((ms) => ms !== null),
  );
  const latencyVotes = comparing.filter((witness) => isTooSlow(witness, guard)).length;
  const carried = (votes: number, of: number): boolean =>
    votes >= guard.minReporters && votes > of / 2;
  let reason: GuardVerdict['reason'] = null;
  if (carried(latencyVotes, comparing.length)) reason = 'latency';
  if (carried(errorVotes, witnesses.length)) reason = 'errors';
  return {
    tripped: reason !== null,
    reason,
    reporters: heard.length,
    samples,
    witnesses: witnesses.length,
    errorVotes,
    latencyVotes,
    errorRate: middle(witnesses.map((witness) => witness.errorRate)),
    previousErrorRate: middle(witnesses.map((witness) => witness.previousErrorRate)),
    latencyMs: middle(
      (comparing.length > 0 ? comparing : witnesses).map(({ latencyMs }) => latencyMs),
    ),
    previousLatencyMs: middle(comparing.map((witness) => witness.previousLatencyMs)),
  };
}

/** The verdict in one sentence, with the figures it rests on and what was allowed. */
export function describeVerdict(verdict: GuardVerdict, guard: ResolvedReleaseGuard): string {
  const { witnesses, errorVotes, latencyVotes } = verdict;
  const rest = `${numbered(verdict.samples, 'request')} counted by ${numbered(verdict.reporters, 'peer')}`;
  const errors = `${percent(verdict.errorRate)} of requests fail (${percent(verdict.previousErrorRate)} of those to the version before)`;
  const speed = `${milliseconds(verdict.latencyMs)} a request (${milliseconds(verdict.previousLatencyMs)} with the version before)`;
  switch (verdict.reason) {
    case 'errors':
      return `${errors}, at most ${percent(guard.maxErrorRate)} may; ${rest}, ${errorVotes} of ${numbered(witnesses, 'witness')} agree`;
    case 'latency':
      return `${speed}, at most ${guard.maxLatencyRatio} times as much is allowed; ${rest}, ${latencyVotes} of ${numbered(witnesses, 'witness')} agree`;
    case null:
      if (witnesses < guard.minReporters) {
        return `not enough is known: ${rest} make ${numbered(witnesses, 'witness')}, expected ${guard.minReporters}`;
      }
      return errorVotes + latencyVotes === 0
        ? `within bounds: ${errors}, ${speed}; ${rest}`
        : `too few agree: of ${numbered(witnesses, 'witness')} ${errorVotes} see it fail too often and ${latencyVotes} find it too slow, expected at least ${guard.minReporters} and more than half; ${rest}`;
  }
}

function gatherWitnesses(reports: readonly GuardReport[], size: number): Witness[] {
  const witnesses: Witness[] = [];
  let pooled: GuardReport[] = [];
  const inOrder = [...reports].sort((a, b) => (a.reporter < b.reporter ? -1 : 1));
  for (const report of inOrder) {
    if (sampleCount(report.version) >= size) {
      witnesses.push(witness([report]));
      continue;
    }
    pooled.push(report);
    if (pooled.reduce((sum, { version }) => sum + sampleCount(version), 0) < size) continue;
    witnesses.push(witness(pooled));
    pooled = [];
  }
  return witnesses;
}

function witness(reports: readonly GuardReport[]): Witness {
  const version = add(reports.map((report) => report.version));
  const previous = add(reports.map((report) => report.previous));
  return {
    errorRate: failedCount(version) / sampleCount(version),
    previousErrorRate:
      sampleCount(previous) < MIN_COMPARED_SAMPLES
        ? null
        : failedCount(previous) / sampleCount(previous),
    latencyMs: typicalMs(version),
    previousLatencyMs: typicalMs(previous),
  };
}

function failsTooOften(
  { errorRate, previousErrorRate }: Witness,
  { maxErrorRate }: ResolvedReleaseGuard,
): boolean {
  return errorRate > maxErrorRate && errorRate > ERROR_RATE_MARGIN * (previousErrorRate ?? 0);
}

function isTooSlow(
  { latencyMs, previousLatencyMs }: Witness,
  { maxLatencyRatio }: ResolvedReleaseGuard,
): boolean {
  if (latencyMs === null || previousLatencyMs === null) return false;
  return latencyMs > maxLatencyRatio * previousLatencyMs;
}

/** The median: a mean would follow one garbage collection, or one dial, of a peer that counted little. */
function typicalMs(counts: Counts): number | null {
  if (answeredCount(counts) < MIN_COMPARED_SAMPLES) return null;
  return latencyQuantileMs(counts.latencies, 0.5);
}

function sampleCount(counts: Counts | undefined): number {
  return counts === undefined ? 0 : answeredCount(counts) + failedCount(counts);
}

function add(all: readonly (Counts | undefined)[]): Counts {
  const latencies = Array.from<number>({ length: LATENCY_BUCKETS }).fill(0);
  let execution = 0;
  let timeout = 0;
  for (const counts of all) {
    if (counts === undefined) continue;
    execution += counts.execution;
    timeout += counts.timeout;
    for (const [bucket, count] of counts.latencies.entries()) {
      latencies[bucket] = (latencies[bucket] ?? 0) + count;
    }
  }
  return { execution, timeout, latencies };
}

/** Of what the witnesses measured the middle; null when none did. */
function middle(values: readonly (number | null)[]): number | null {
  return median(values.filter((value) => value !== null)) ?? null;
}

function percent(share: number | null): string {
  return share === null ? 'an unknown share' : `${Number((100 * share).toFixed(2))} %`;
}

function milliseconds(ms: number | null): string {
  return ms === null ? 'an unknown time' : `${Number(ms.toPrecision(3))} ms`;
}

function numbered(count: number, noun: 'request' | 'peer' | 'witness'): string {
  if (count === 1) return `1 ${noun}`;
  return `${count} ${noun}${noun === 'witness' ? 'es' : 's'}`;
}
