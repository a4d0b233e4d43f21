import { readFile } from 'node:fs/promises';

/** Share of the second half over which the first and the last samples are averaged: one collection more or less is no growth. */
const EDGE_SHARE = 0.25;

export interface MemoryGrowth {
  readonly process: string;
  /** Bytes resident in the middle of the run, and at its end: medians over a while. */
  readonly middleBytes: number;
  readonly endBytes: number;
  /** Growth over the second half as a share of what was there in its middle. */
  readonly growth: number;
}

interface Sample {
  readonly atMs: number;
  readonly bytes: number;
}

/** The resident memory of processes over time. Linux only. */
export class MemoryRecord {
  readonly #samples = new Map<string, Sample[]>();

  /** Looks at these processes, each by its name; one that is gone has no sample. */
  async look(processes: ReadonlyMap<string, number>, atMs: number): Promise<void> {
    for (const [name, pid] of processes) {
      const bytes = await residentBytes(pid);
      if (bytes === undefined) continue;
      const samples = this.#samples.get(name) ?? [];
      samples.push({ atMs, bytes });
      this.#samples.set(name, samples);
    }
  }

  /** How the processes grew that lived from `middleMs` to `endMs`. */
  growth(middleMs: number, endMs: number): MemoryGrowth[] {
    const edgeMs = (endMs - middleMs) * EDGE_SHARE;
    const found: MemoryGrowth[] = [];
    for (const [process, samples] of this.#samples) {
      const first = samples[0]?.atMs ?? Number.POSITIVE_INFINITY;
      const last = samples.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY;
      // A look takes a moment, and the last one may be the one before the end.
      if (first > middleMs || last < endMs - edgeMs) continue;
      const within = (fromMs: number, toMs: number): number =>
        median(
          samples.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs).map(({ bytes }) => bytes),
        );
      const middleBytes = within(middleMs, middleMs + edgeMs);
      const endBytes = within(endMs - edgeMs, endMs);
      found.push({ process, middleBytes, endBytes, growth: endBytes / middleBytes - 1 });
    }
    return found;
  }
}

async function residentBytes(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
