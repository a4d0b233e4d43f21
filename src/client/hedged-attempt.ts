import type { CheckedResponse } from './answer-receipt.ts';
import type { LinkedCandidate } from './node-directory.ts';

/** How often a node that answers nothing is looked at: one that owes a sign of life is not waited for. */
const LOOK_INTERVAL_MS = 250;

/** Milliseconds without a further piece of an answer that has begun after which it may never be whole, though the node is alive. */
const STALL_MS = 3_000;

export interface HedgeInit {
  /** Milliseconds after which a second node is asked though the first is well. */
  readonly afterMs: number;
  /** The call's own: aborts when it ends. */
  readonly signal: AbortSignal;
  readonly send: (
    choice: LinkedCandidate,
    options: { readonly signal: AbortSignal; readonly onOutput: () => void },
  ) => Promise<CheckedResponse>;
  /** The second node, if there is one and the budget has it; `late` when the first is only slow. */
  readonly second: (first: LinkedCandidate, late: boolean) => LinkedCandidate | undefined;
  /** One of two failed, and the other one's answer is waited for. */
  readonly onFailed: (choice: LinkedCandidate, error: unknown) => void;
  /** The other one answered first, after this one had so many milliseconds. */
  readonly onOutpaced: (choice: LinkedCandidate, elapsedMs: number) => void;
}

interface Runner {
  readonly choice: LinkedCandidate;
  readonly abort: AbortController;
  readonly startedAtMs: number;
  /** When the latest piece of its answer came; undefined before the first. */
  outputAtMs: number | undefined;
}

export interface HedgedAnswer {
  readonly choice: LinkedCandidate;
  readonly response: CheckedResponse;
  /** Milliseconds that the node which answered took. */
  readonly elapsedMs: number;
}

/** What the last of the runners failed with, and which that was. */
export class AttemptFailure {
  readonly choice: LinkedCandidate;
  readonly error: unknown;

  constructor(choice: LinkedCandidate, error: unknown) {
    this.choice = choice;
    this.error = error;
  }
}

/**
 * One request on one node, and on a second one when the first takes too long or owes a sign of life; on a third when the second
 * fails meanwhile. The first answer counts, the other is taken back; no second is asked once an answer has begun to come, unless
 * it does not go on.
 */
export class HedgedAttempt {
  readonly #init: HedgeInit;
  readonly #runners = new Set<Runner>();
  readonly #outcome = Promise.withResolvers<HedgedAnswer | AttemptFailure>();
  #timer: NodeJS.Timeout | undefined;
  /** True once the outcome is there: what is taken back then fails for no reason of its own. */
  #over = false;

  constructor(init: HedgeInit) {
    this.#init = init;
  }

  /** Never rejects, except when the call ends: with its reason. */
  async run(first: LinkedCandidate): Promise<HedgedAnswer | AttemptFailure> {
    const { signal } = this.#init;
    signal.throwIfAborted();
    const onAbort = (): void => this.#outcome.reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#look(this.#start(first));
    try {
      return await this.#outcome.promise;
    } finally {
      this.#over = true;
      clearTimeout(this.#timer);
      signal.removeEventListener('abort', onAbort);
      for (const { abort } of this.#runners)
        abort.abort(new DOMException('not needed', 'AbortError'));
    }
  }

  #start(choice: LinkedCandidate): Runner {
    const runner: Runner = {
      choice,
      abort: new AbortController(),
      startedAtMs: performance.now(),
      outputAtMs: undefined,
    };
    this.#runners.add(runner);
    const onOutput = (): void => {
      runner.outputAtMs = performance.now();
    };
    this.#init.send(choice, { signal: runner.abort.signal, onOutput }).then(
      (response) => this.#answered(runner, response),
      (error: unknown) => this.#failed(runner, error),
    );
    return runner;
  }

  /** Waits until a node that is asked alone is late, looking now and then whether it is alive. */
  #look(first: Runner): void {
    const { afterMs } = this.#init;
    const leftMs = afterMs - (performance.now() - first.startedAtMs);
    const waitMs = leftMs > 0 ? Math.min(leftMs, LOOK_INTERVAL_MS) : LOOK_INTERVAL_MS;
    this.#timer = setTimeout(() => {
      const trouble = this.#troubleOf(first);
      const second =
        trouble === undefined ? undefined : this.#init.second(first.choice, trouble === 'late');
      if (second !== undefined) this.#start(second);
      // Who is late and has no second may still turn out to be dead.
      else this.#look(first);
    }, waitMs);
  }

  #troubleOf({ choice, startedAtMs, outputAtMs }: Runner): 'late' | 'dead' | undefined {
    const nowMs = performance.now();
    // While a body comes its pongs wait behind it: the body itself is the sign of life.
    if (outputAtMs !== undefined) return nowMs - outputAtMs >= STALL_MS ? 'dead' : undefined;
    if (choice.link.suspect) return 'dead';
    return nowMs - startedAtMs >= this.#init.afterMs ? 'late' : undefined;
  }

  #answered(runner: Runner, response: CheckedResponse): void {
    this.#runners.delete(runner);
    const nowMs = performance.now();
    for (const { choice, startedAtMs } of this.#runners) {
      // Only the first can be outpaced: the second was asked later.
      if (startedAtMs < runner.startedAtMs) this.#init.onOutpaced(choice, nowMs - startedAtMs);
    }
    const elapsedMs = nowMs - runner.startedAtMs;
    this.#outcome.resolve({ choice: runner.choice, response, elapsedMs });
  }

  #failed(runner: Runner, error: unknown): void {
    if (this.#over) return;
    this.#runners.delete(runner);
    const [left] = this.#runners;
    if (left === undefined) {
      this.#outcome.resolve(new AttemptFailure(runner.choice, error));
      return;
    }
    // What this one failed with is only told. The other one may be dead as well, which a third then makes good.
    this.#init.onFailed(runner.choice, error);
    this.#look(left);
  }
}
