import { formatBytes } from '../../protocols/byte-size.ts';
import { formatTimeLeft } from './figures.ts';
import { RateMeter } from './rate-meter.ts';
import type { Terminal } from './terminal.ts';

const MIN_BAR_CELLS = 5;
const MAX_BAR_CELLS = 30;

interface Bar {
  readonly label: string;
  readonly meter: RateMeter;
  bytes: number;
  totalBytes: number;
}

/** A bar for each thing that is on its way, with rate and time left, drawn in place; nothing where lines cannot be drawn again. */
export class ProgressBars {
  readonly #terminal: Terminal;
  /** In the order in which they began. */
  readonly #bars = new Map<string, Bar>();

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** False where there are no bars: then progress is told in lines. */
  get shown(): boolean {
    return this.#terminal.columns !== undefined;
  }

  /** @param label Printable, short. */
  set(label: string, bytes: number, totalBytes: number, nowMs = performance.now()): void {
    const bar = this.#bars.get(label) ?? { label, meter: new RateMeter(), bytes, totalBytes };
    bar.bytes = bytes;
    bar.totalBytes = totalBytes;
    bar.meter.add(bytes, nowMs);
    this.#bars.set(label, bar);
    this.#draw();
  }

  /** Takes a bar away. */
  end(label: string): void {
    if (this.#bars.delete(label)) this.#draw();
  }

  #draw(): void {
    const columns = this.#terminal.columns ?? 0;
    this.#terminal.live([...this.#bars.values()].map((bar) => formatBar(bar, columns)));
  }
}

function formatBar({ label, meter, bytes, totalBytes }: Bar, columns: number): string {
  const share = totalBytes === 0 ? 1 : Math.min(1, bytes / totalBytes);
  const percent = `${Math.floor(share * 100)} %`.padStart(5);
  const rate = meter.rate();
  const etaMs = meter.etaMs(totalBytes);
  const figures = [
    `${formatBytes(bytes)} of ${formatBytes(totalBytes)}`,
    ...(rate === null ? [] : [`${formatBytes(rate)}/s`]),
    ...(etaMs === null ? [] : [`${formatTimeLeft(etaMs)} left`]),
  ].join('  ');
  const room = columns - label.length - percent.length - figures.length - 6;
  const cells = Math.max(MIN_BAR_CELLS, Math.min(MAX_BAR_CELLS, room));
  const full = Math.floor(share * cells);
  const line = `${label}  ${'█'.repeat(full)}${'░'.repeat(cells - full)} ${percent}  ${figures}`;
  // A line that wraps would be two to the terminal, and one to us.
  return line.slice(0, Math.max(0, columns - 1));
}
