/** What one client of the load has seen so far. Counts only ever grow. */
export interface ClientReport {
  /** Right answers by node. */
  readonly answers: Readonly<Record<string, number>>;
  /** Answers that are not what the model of that version gives. */
  readonly wrong: number;
  /** Calls that failed though nothing was wrong with them, each with the moment and what it was told; the first ones. */
  readonly failures: readonly CallFailure[];
  readonly failed: number;
  /** Answers that came from another node than the one asked first. */
  readonly retried: number;
  /** Calls that were cancelled, and ended so. */
  readonly cancelled: number;
  /** Calls with an input that is wrong, and were told so. */
  readonly refused: number;
  /** The right answer that took longest, with what the call went through; undefined before the first. */
  readonly slowest?: CallStory | undefined;
  readonly memory: Readonly<Record<string, number>>;
}

export interface CallStory {
  readonly at: string;
  /** Milliseconds that the call took. */
  readonly afterMs: number;
  /** What happened to it, each with the milliseconds since it began. */
  readonly events: readonly string[];
}

export interface CallFailure extends CallStory {
  readonly message: string;
}

/** A client's last word is marked, so that its silence cannot be taken for it. */
export interface ClientLine extends ClientReport {
  readonly last: boolean;
}
