import { type Column, rounded } from '../report.ts';

export const MIB = 1024 ** 2;

const GIB = 1024 ** 3;

/** One measurement; CPU times are of all processes of a side. */
export interface Sample {
  readonly seconds: number;
  /** Bytes of the blocks that all sinks took from the network. */
  readonly movedBytes: number;
  readonly sourceCpuSeconds: number;
  readonly sinkCpuSeconds: number;
}

/** What was found of one variant: the best of all rounds, column by column, and the median time. */
export interface TransferRow {
  readonly comparison: 'one source' | 'flash crowd' | 'dedup';
  readonly variant: string;
  /** Bytes of the model's file, times the sinks. */
  readonly wantedBytes: number;
  readonly movedBytes: number;
  /** Bytes that the sink's disk holds more than before, all versions in use; null where that was not measured. */
  readonly storedBytes: number | null;
  /** The same once the older version is not in use any more. */
  readonly packedBytes: number | null;
  readonly packSeconds: number | null;
  readonly rollbackSeconds: number | null;
  readonly seconds: number;
  readonly medianSeconds: number;
  /** Wanted bytes over the best time, for all sinks together. */
  readonly mibPerSecond: number;
  /** CPU time of all sources per GiB wanted. */
  readonly sourceCpuSecondsPerGib: number;
  readonly sinkCpuSecondsPerGib: number;
}

type DiskFigures = Pick<
  TransferRow,
  'storedBytes' | 'packedBytes' | 'packSeconds' | 'rollbackSeconds'
>;

const NOT_MEASURED: DiskFigures = {
  storedBytes: null,
  packedBytes: null,
  packSeconds: null,
  rollbackSeconds: null,
};

export function toRow(
  subject: Pick<TransferRow, 'comparison' | 'variant' | 'wantedBytes'>,
  samples: readonly Sample[],
  disk: DiskFigures = NOT_MEASURED,
): TransferRow {
  const best = (value: (sample: Sample) => number): number => Math.min(...samples.map(value));
  const perGib = (cpuSeconds: number): number => rounded((cpuSeconds * GIB) / subject.wantedBytes);
  const sorted = samples.map(({ seconds }) => seconds).sort((a, b) => a - b);
  const seconds = best((sample) => sample.seconds);
  return {
    ...subject,
    movedBytes: best((sample) => sample.movedBytes),
    storedBytes: disk.storedBytes,
    packedBytes: disk.packedBytes,
    packSeconds: disk.packSeconds && rounded(disk.packSeconds),
    rollbackSeconds: disk.rollbackSeconds && rounded(disk.rollbackSeconds),
    seconds: rounded(seconds),
    medianSeconds: rounded(sorted[sorted.length >> 1] ?? Number.NaN),
    mibPerSecond: rounded(subject.wantedBytes / MIB / seconds),
    sourceCpuSecondsPerGib: perGib(best((sample) => sample.sourceCpuSeconds)),
    sinkCpuSecondsPerGib: perGib(best((sample) => sample.sinkCpuSeconds)),
  };
}

const ifMeasured = (value: number | null, text: (value: number) => string): string =>
  value === null ? '' : text(value);

const mib = (bytes: number): string => String(rounded(bytes / MIB));

export const COLUMNS: readonly Column<TransferRow>[] = [
  { title: 'comparison', value: ({ comparison }) => comparison },
  { title: 'variant', value: ({ variant }) => variant },
  { title: 'wanted MiB', value: ({ wantedBytes }) => mib(wantedBytes) },
  { title: 'moved MiB', value: ({ movedBytes }) => mib(movedBytes) },
  { title: 'stored MiB', value: ({ storedBytes }) => ifMeasured(storedBytes, mib) },
  { title: 'packed MiB', value: ({ packedBytes }) => ifMeasured(packedBytes, mib) },
  { title: 'pack s', value: ({ packSeconds }) => ifMeasured(packSeconds, String) },
  { title: 'rollback s', value: ({ rollbackSeconds }) => ifMeasured(rollbackSeconds, String) },
  { title: 's', value: ({ seconds }) => String(seconds) },
  { title: 'median s', value: ({ medianSeconds }) => String(medianSeconds) },
  { title: 'MiB/s', value: ({ mibPerSecond }) => String(mibPerSecond) },
  { title: 'source CPU s/GiB', value: (row) => String(row.sourceCpuSecondsPerGib) },
  { title: 'sink CPU s/GiB', value: (row) => String(row.sinkCpuSecondsPerGib) },
];
