/** Milliseconds looked back on: long enough to be steady, short enough to show that a peer was lost. */
const WINDOW_MS = 5_000;

interface Sample {
  readonly bytes: number;
  readonly atMs: number;
}

/** How fast a count of bytes grows, over the last seconds. Pure: times are arguments. */
export class RateMeter {
  /** Oldest first; the first may be older than the window, as where it begins. */
  readonly #samples: Sample[] = [];

  add(bytes: number, atMs: number): void {
    this.#samples.push({ bytes, atMs });
    while ((this.#samples[1]?.atMs ?? atMs) < atMs - WINDOW_MS) this.#samples.shift();
  }

  /** Bytes a second; null until two moments are known. */
  rate(): number | null {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return null;
    return Math.max(0, ((last.bytes - first.bytes) / (last.atMs - first.atMs)) * 1000);
  }

  /** Milliseconds until so many bytes are there; null when nothing moves. */
  etaMs(totalBytes: number): number | null {
    const rate = this.rate();
    const bytes = this.#samples.at(-1)?.bytes ?? 0;
    return rate === null || rate === 0 ? null : ((totalBytes - bytes) / rate) * 1000;
  }
}
