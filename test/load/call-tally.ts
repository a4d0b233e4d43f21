import type { CallFailure, CallStory, ClientLine } from './client-report.ts';

/** Failures that are told in full: a broken run has thousands of the same. */
const MAX_FAILURES = 20;

/** Whole numbers below this are exact in FP32, with what a model adds. */
const EXACT = 2 ** 22;

const TELL_INTERVAL_MS = 1_000;

/** What the calls of this process came to, as it is told each second on its standard output, a line of JSON each. */
export class CallTally {
  readonly counts = { wrong: 0, failed: 0, retried: 0, cancelled: 0, refused: 0 };
  readonly #answers: Record<string, number> = {};
  readonly #failures: CallFailure[] = [];
  #slowest: CallStory | undefined;
  #lastBase = 0;

  /** A call begins, to which `events` happen; gives what has become of it whenever it is asked. */
  begin(events: readonly string[] = []): () => CallStory {
    const startedAtMs = performance.now();
    return () => ({
      at: new Date().toISOString(),
      afterMs: Math.round(performance.now() - startedAtMs),
      events,
    });
  }

  /** A node answered; whether it is right. */
  answered(node: string, isRight: boolean, story: CallStory): void {
    if (isRight) this.#answers[node] = (this.#answers[node] ?? 0) + 1;
    else this.counts.wrong += 1;
    if (story.afterMs > (this.#slowest?.afterMs ?? 0)) this.#slowest = story;
  }

  failed(message: string, story: CallStory): void {
    this.counts.failed += 1;
    if (this.#failures.length < MAX_FAILURES) this.#failures.push({ ...story, message });
  }

  /** Rows of four numbers that no call near this one has: an answer to another call is told from the right one. */
  inputs(rows: number): Float32Array<ArrayBuffer> {
    this.#lastBase = (this.#lastBase + 7) % EXACT;
    return Float32Array.from({ length: rows * 4 }, (_, index) => (this.#lastBase + index) % EXACT);
  }

  /** Tells each second what it saw while callers call, and at the end once more. */
  async tellWhile(callers: readonly Promise<void>[]): Promise<void> {
    // Whoever reads it is gone, and so is the run.
    process.stdout.on('error', () => process.exit(1));
    const telling = setInterval(() => this.#tell(false), TELL_INTERVAL_MS);
    await Promise.all(callers);
    clearInterval(telling);
    this.#tell(true);
  }

  #tell(last: boolean): void {
    const line: ClientLine = {
      ...{ last, answers: this.#answers, failures: this.#failures, slowest: this.#slowest },
      ...this.counts,
      memory: { ...process.memoryUsage() },
    };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}

/** Whether each number is what was sent and what the model adds. */
export function isSum(found: ArrayLike<number>, sent: Float32Array, offset: number): boolean {
  if (found.length !== sent.length) return false;
  return sent.every((value, index) => found[index] === value + offset);
}
