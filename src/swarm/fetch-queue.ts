/** One block that is wanted, and what is done with it. */
export interface BlockTask {
  readonly digest: Uint8Array;
  readonly maxBytes: number;
  /** Takes the verified bytes; what it throws ends the whole fetch. */
  accept(bytes: Uint8Array): Promise<void>;
}

/** A task that a peer was asked for. */
export interface TakenTask {
  readonly task: BlockTask;
  /** Aborts when another peer was faster. */
  readonly signal: AbortSignal;
}

interface Entry {
  readonly task: BlockTask;
  /** Peers that are asked for it now, and since when; more than one towards the end. */
  readonly asked: Map<string, number>;
  /** Peers that said they do not have it. */
  readonly missingAt: Set<string>;
  readonly done: AbortController;
}

/** Milliseconds a block may be on its way from one peer before an idle one is asked for it too. */
const STEAL_AFTER_MS = 1_000;

/** Peers that are asked for the same block at most. */
const MAX_COPIES = 2;

/**
 * The blocks still wanted, shared out among peers: who is idle takes the next, towards the end also what a slower peer has
 * been asked for. A task is in exactly one of `waiting`, `inFlight`, or gone.
 */
export class FetchQueue {
  readonly #waiting = new Set<Entry>();
  readonly #inFlight = new Set<Entry>();

  add(tasks: Iterable<BlockTask>): void {
    for (const task of tasks) {
      const done = new AbortController();
      this.#waiting.add({ task, asked: new Map(), missingAt: new Set(), done });
    }
  }

  /** Tasks that no peer has answered yet. */
  get size(): number {
    return this.#waiting.size + this.#inFlight.size;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** The next task for a peer; undefined when there is none it could help with now. */
  take(peer: string, nowMs: number): TakenTask | undefined {
    const entry = this.#nextWaiting(peer) ?? this.#nextToSteal(peer, nowMs);
    if (entry === undefined) return undefined;
    this.#waiting.delete(entry);
    this.#inFlight.add(entry);
    entry.asked.set(peer, nowMs);
    return { task: entry.task, signal: entry.done.signal };
  }

  /** The bytes are there. False when another peer was first: then they are to be dropped. */
  complete(taken: TakenTask): boolean {
    const entry = this.#find(taken);
    if (entry === undefined) return false;
    this.#inFlight.delete(entry);
    entry.done.abort();
    return true;
  }

  /** A peer could not give a task; `missing` when it does not have it, so that it is not asked again at once. */
  giveBack(taken: TakenTask, peer: string, missing: boolean): void {
    const entry = this.#find(taken);
    if (entry === undefined) return;
    entry.asked.delete(peer);
    if (missing) entry.missingAt.add(peer);
    if (entry.asked.size > 0) return;
    this.#inFlight.delete(entry);
    this.#waiting.add(entry);
  }

  /** Lets every peer be asked for everything again: who has a part of a version gets more of it as time passes. */
  forgetMissing(): void {
    for (const entry of this.#waiting) entry.missingAt.clear();
  }

  #nextWaiting(peer: string): Entry | undefined {
    for (const entry of this.#waiting) if (!entry.missingAt.has(peer)) return entry;
    return undefined;
  }

  #nextToSteal(peer: string, nowMs: number): Entry | undefined {
    // In order of insertion, which is the order in which they were asked for.
    for (const entry of this.#inFlight) {
      const since = Math.max(...entry.asked.values());
      if (nowMs - since < STEAL_AFTER_MS || entry.asked.size >= MAX_COPIES) continue;
      if (!entry.asked.has(peer) && !entry.missingAt.has(peer)) return entry;
    }
    return undefined;
  }

  #find(taken: TakenTask): Entry | undefined {
    for (const entry of this.#inFlight) if (entry.task === taken.task) return entry;
    return undefined;
  }
}
