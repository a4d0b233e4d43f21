import type { NodeId } from '../../../protocols/types.ts';

/** One request of the load: who answered, after whom, in how long. */
export interface LoadAnswer {
  readonly model: string;
  readonly node: NodeId;
  /** Nodes that were asked before and did not answer. */
  readonly failedAttempts: number;
  readonly latencyMs: number;
  /** False when the answer is another than the one the same input got before. */
  readonly asBefore: boolean;
}

/** Who answered how often, before the kill and after it. */
export interface ModelTally {
  readonly model: string;
  readonly before: ReadonlyMap<NodeId, number>;
  readonly after: ReadonlyMap<NodeId, number>;
}

/** A node that answered for a model in place of the one that was killed. */
export interface Takeover {
  readonly model: string;
  /** Most answers first; empty when nobody answered for the model again. */
  readonly by: readonly NodeId[];
}

interface Counts {
  readonly before: Map<NodeId, number>;
  readonly after: Map<NodeId, number>;
}

/** Counts what happens to requests while a node is killed. It has no clock: the caller says when the kill is. */
export class FailoverTally {
  #answered = 0;
  #retried = 0;
  #changed = 0;
  #slowestMs = 0;
  #killed: NodeId | undefined;
  readonly #models = new Map<string, Counts>();
  readonly #failures = new Map<string, number>();

  /** Requests that were answered or failed. */
  get requests(): number {
    return this.#answered + this.failed;
  }

  get failed(): number {
    return [...this.#failures.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Requests that another node answered than the one asked first. */
  get retried(): number {
    return this.#retried;
  }

  /** Answers that differ from the one the same input got before. */
  get changed(): number {
    return this.#changed;
  }

  /** Milliseconds of the slowest request since the kill. */
  get slowestMs(): number {
    return this.#slowestMs;
  }

  /** Failures by message, each with how often it occurred. */
  get failures(): ReadonlyMap<string, number> {
    return this.#failures;
  }

  get models(): readonly ModelTally[] {
    return [...this.#models].map(([model, counts]) => ({ model, ...counts }));
  }

  answered(answer: LoadAnswer): void {
    this.#answered += 1;
    if (answer.failedAttempts > 0) this.#retried += 1;
    if (!answer.asBefore) this.#changed += 1;
    let counts = this.#models.get(answer.model);
    if (counts === undefined) {
      counts = { before: new Map(), after: new Map() };
      this.#models.set(answer.model, counts);
    }
    const side = this.#killed === undefined ? counts.before : counts.after;
    side.set(answer.node, (side.get(answer.node) ?? 0) + 1);
    if (this.#killed !== undefined) this.#slowestMs = Math.max(this.#slowestMs, answer.latencyMs);
  }

  failedWith(message: string): void {
    this.#failures.set(message, (this.#failures.get(message) ?? 0) + 1);
  }

  /** The node that answered most so far: the one whose death hurts most. Undefined when nobody answered. */
  busiest(): NodeId | undefined {
    const totals = new Map<NodeId, number>();
    for (const { before } of this.#models.values()) {
      for (const [node, count] of before) totals.set(node, (totals.get(node) ?? 0) + count);
    }
    return mostFirst(totals)[0];
  }

  /** From here on answers count as after the kill of `node`. */
  kill(node: NodeId): void {
    this.#killed = node;
  }

  /** For each model the killed node answered for: who does since. Answers already on their way from it do not count. */
  takeovers(): readonly Takeover[] {
    const killed = this.#killed;
    if (killed === undefined) return [];
    return [...this.#models]
      .filter(([, { before }]) => before.has(killed))
      .map(([model, { after }]) => ({ model, by: mostFirst(after).filter((id) => id !== killed) }));
  }
}

function mostFirst(counts: ReadonlyMap<NodeId, number>): NodeId[] {
  return [...counts].sort(([, a], [, b]) => b - a).map(([node]) => node);
}
