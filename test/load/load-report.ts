import type { CallFailure, CallStory, ClientReport } from './client-report.ts';
import type { Disturbance } from './disturbance.ts';
import type { MemoryGrowth } from './memory-record.ts';

/** What the resident set of a process may grow by over the second half of a run. */
export const MAX_GROWTH = 0.05;

/** Milliseconds of a run below which growth says nothing: a process takes minutes until it has met everything once. */
export const MEMORY_RUN_MS = 300_000;

const MIB = 1024 * 1024;

export interface LoadModel {
  readonly reference: string;
  readonly version: string;
  readonly offset: number;
}

export interface LoadReport {
  readonly load: 'random kills';
  readonly seed: number;
  readonly durationMs: number;
  readonly answered: number;
  readonly wrong: number;
  readonly failed: number;
  readonly failures: readonly CallFailure[];
  readonly retried: number;
  readonly cancelled: number;
  readonly refused: number;
  readonly slowest: CallStory | undefined;
  readonly disturbed: Readonly<Record<Disturbance, number>>;
  readonly crashes: readonly string[];
  readonly memory: readonly MemoryGrowth[];
  /** What was not as it should be; empty when all was. */
  readonly faults: readonly string[];
}

export interface LoadOutcome {
  readonly seed: number;
  readonly durationMs: number;
  readonly reports: readonly ClientReport[];
  readonly disturbed: Readonly<Record<Disturbance, number>>;
  readonly crashes: readonly string[];
  readonly memory: readonly MemoryGrowth[];
}

/** Adds up what all clients saw, and holds it against what is asked of a swarm. */
export function reportOf({ reports, ...outcome }: LoadOutcome): LoadReport {
  const sum = (of: (report: ClientReport) => number): number =>
    reports.reduce((total, report) => total + of(report), 0);
  const counts = {
    answered: sum(({ answers }) => Object.values(answers).reduce((total, one) => total + one, 0)),
    wrong: sum(({ wrong }) => wrong),
    failed: sum(({ failed }) => failed),
    failures: reports.flatMap(({ failures }) => failures),
    retried: sum(({ retried }) => retried),
    cancelled: sum(({ cancelled }) => cancelled),
    refused: sum(({ refused }) => refused),
    slowest: reports
      .flatMap(({ slowest }) => slowest ?? [])
      .toSorted((a, b) => b.afterMs - a.afterMs)[0],
  };
  return {
    load: 'random kills',
    ...outcome,
    ...counts,
    faults: [...faultsOf(counts), ...outcome.crashes, ...growthFaults(outcome)],
  };
}

function faultsOf({
  answered,
  wrong,
  failed,
}: Pick<LoadReport, 'answered' | 'wrong' | 'failed'>): string[] {
  return [
    ...(answered > 0 ? [] : ['no call was answered, expected thousands']),
    ...(wrong === 0 ? [] : [`${wrong} answers were wrong, expected none`]),
    ...(failed === 0 ? [] : [`${failed} calls failed while a node was well, expected none`]),
  ];
}

function growthFaults({
  durationMs,
  memory,
}: Pick<LoadOutcome, 'durationMs' | 'memory'>): string[] {
  if (durationMs < MEMORY_RUN_MS) return [];
  return memory
    .filter(({ growth }) => !(growth < MAX_GROWTH))
    .map(
      ({ process, growth }) =>
        `${process} grew by ${percent(growth)} over the second half, expected less than ${percent(MAX_GROWTH)}`,
    );
}

/** The report for people. */
export function formatReport(report: LoadReport): string {
  const { answered, wrong, failed, retried, cancelled, refused, slowest, disturbed } = report;
  const lines = [
    `seed ${report.seed}, ${report.durationMs / 1000} s: ${disturbed.kill} nodes killed, ${disturbed.stop} stopped, ${disturbed.freeze} frozen`,
    `${answered} calls answered right, ${wrong} wrong, ${failed} failed; ${retried} by another node than the first`,
    `${cancelled} cancelled, ${refused} bad inputs refused`,
    ...(slowest === undefined ? [] : [`slowest answer: ${told(slowest)}`]),
    ...report.failures.map((failure) => `failed with ${failure.message}: ${told(failure)}`),
    'resident set over the second half:',
    ...report.memory.map(
      ({ process, middleBytes, endBytes, growth }) =>
        `  ${process}: ${Math.round(middleBytes / MIB)} MiB to ${Math.round(endBytes / MIB)} MiB, ${percent(growth)}`,
    ),
    report.faults.length === 0 ? 'all as it should be' : report.faults.join('\n'),
  ];
  return `${lines.join('\n')}\n`;
}

function told({ at, afterMs, events }: CallStory): string {
  return [`${afterMs} ms, until ${at}`, ...events].join('\n    ');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
