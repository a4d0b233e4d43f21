import { type Holdings, hasBit } from '../../protocols/transfer/index.ts';

/** One block that is wanted, and what is done with it. */
export interface BlockTask {
  readonly digest: Uint8Array;
  readonly maxBytes: number;
  /** Which chunk of the version it is, as {@link Holdings} count them; undefined for a manifest or chunk list. */
  readonly chunk?: number | undefined;
  /** Takes the verified bytes; what it throws ends the whole fetch. */
  accept(bytes: Uint8Array): Promise<void>;
  /** Hears when a first peer is asked for it, and when none is any more without having given it. */
  onAsked?(asked: boolean): void;
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
  /** Peers that said they do not have it, and in which round. */
  readonly missingIn: Map<string, number>;
  readonly done: AbortController;
  /** Its place in `waiting`. */
  place: number;
}

/** Milliseconds a block may be on its way from one peer before an idle one is asked for it too. */
const STEAL_AFTER_MS = 1_000;

/** Peers that are asked for the same block at most. */
const MAX_COPIES = 2;

/** Waiting tasks looked at for one peer, and those among them it has: of more, the rarest is only likely the rarest. */
const MAX_SCANNED = 4_096;
const MAX_COMPARED = 512;

/** Why a task is over. Shared: one made for each block would take the stack each time. */
const ANSWERED = new DOMException('the block has come', 'AbortError');

/**
 * The blocks still wanted, shared out among peers: who is idle takes the rarest that it has, from a random place on, so that
 * many who begin at once take different ones; towards the end also what a slower peer has been asked for. A task is in
 * exactly one of `waiting`, `inFlight`, or gone.
 *
 * @see Legout, Urvoy-Keller and Michiardi, "Rarest first and choke algorithms are enough", IMC 2006
 */
export class FetchQueue {
  readonly #random: () => number;
  readonly #waiting: Entry[] = [];
  readonly #inFlight = new Set<Entry>();
  /** What each peer said it has. */
  readonly #holdings = new Map<string, Holdings>();
  /** Copies of each chunk, had or coming, with the peers that have a part; those that have all tell nothing apart. */
  #copies = new Uint16Array();
  /** What a peer said is missing counts as long as its round lasts. */
  readonly #rounds = new Map<string, number>();
  #round = 0;

  /** @param random From 0 up to 1, for where to begin among equals. */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  add(tasks: Iterable<BlockTask>): void {
    for (const task of tasks) {
      const done = new AbortController();
      this.#wait({ task, asked: new Map(), missingIn: new Map(), done, place: 0 });
    }
  }

  /** Tasks that no peer has answered yet. */
  get size(): number {
    return this.#waiting.length + this.#inFlight.size;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Notes what a peer has now; what it lacked before may be asked for again. */
  setHoldings(peer: string, holdings: Holdings): void {
    this.forgetPeer(peer);
    this.#holdings.set(peer, holdings);
    this.#count(holdings, 1);
    this.#rounds.set(peer, (this.#rounds.get(peer) ?? 0) + 1);
  }

  /** A peer is gone: its copies do not count any more. */
  forgetPeer(peer: string): void {
    const before = this.#holdings.get(peer);
    this.#holdings.delete(peer);
    if (before !== undefined) this.#count(before, -1);
  }

  /** The next task for a peer; undefined when there is none it could help with now. */
  take(peer: string, nowMs: number): TakenTask | undefined {
    const entry = this.#nextWaiting(peer) ?? this.#nextToSteal(peer, nowMs);
    if (entry === undefined) return undefined;
    if (entry.asked.size === 0) {
      this.#stopWaiting(entry);
      entry.task.onAsked?.(true);
    }
    this.#inFlight.add(entry);
    entry.asked.set(peer, nowMs);
    return { task: entry.task, signal: entry.done.signal };
  }

  /** The bytes are there. False when another peer was first: then they are to be dropped. */
  complete(taken: TakenTask): boolean {
    const entry = this.#find(taken);
    if (entry === undefined) return false;
    this.#inFlight.delete(entry);
    entry.done.abort(ANSWERED);
    return true;
  }

  /** A peer could not give a task; `missing` when it does not have it, so that it is not asked again at once. */
  giveBack(taken: TakenTask, peer: string, missing: boolean): void {
    const entry = this.#find(taken);
    if (entry === undefined) return;
    entry.asked.delete(peer);
    if (missing) entry.missingIn.set(peer, this.#roundOf(peer));
    if (entry.asked.size > 0) return;
    this.#inFlight.delete(entry);
    this.#wait(entry);
    entry.task.onAsked?.(false);
  }

  /** Lets every peer be asked for everything again: who has a part of a version gets more of it as time passes. */
  forgetMissing(): void {
    this.#round += 1;
  }

  #nextWaiting(peer: string): Entry | undefined {
    const { length } = this.#waiting;
    const start = Math.floor(this.#random() * length);
    let best: Entry | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    let compared = 0;
    for (let step = 0; step < Math.min(length, MAX_SCANNED); step += 1) {
      const entry = this.#waiting[(start + step) % length];
      if (entry === undefined || !this.#mayHave(peer, entry)) continue;
      const copies = this.#copies[entry.task.chunk ?? -1] ?? 0;
      if (copies < fewest) {
        best = entry;
        fewest = copies;
      }
      compared += 1;
      if (fewest === 0 || compared >= MAX_COMPARED) break;
    }
    return best;
  }

  #nextToSteal(peer: string, nowMs: number): Entry | undefined {
    // In order of insertion, which is the order in which they were asked for.
    for (const entry of this.#inFlight) {
      const since = Math.max(...entry.asked.values());
      if (nowMs - since < STEAL_AFTER_MS || entry.asked.size >= MAX_COPIES) continue;
      if (!entry.asked.has(peer) && this.#mayHave(peer, entry)) return entry;
    }
    return undefined;
  }

  #mayHave(peer: string, { task, missingIn }: Entry): boolean {
    if (missingIn.get(peer) === this.#roundOf(peer)) return false;
    const holdings = this.#holdings.get(peer);
    if (holdings === undefined || holdings.whole || task.chunk === undefined) return true;
    return hasBit(holdings.has, task.chunk);
  }

  #roundOf(peer: string): number {
    return this.#round + (this.#rounds.get(peer) ?? 0);
  }

  #count({ count, has, coming }: Holdings, change: 1 | -1): void {
    if (count > this.#copies.length) {
      const grown = new Uint16Array(count);
      grown.set(this.#copies);
      this.#copies = grown;
    }
    for (let index = 0; index < count; index += 1) {
      if (!hasBit(has, index) && !hasBit(coming, index)) continue;
      this.#copies[index] = (this.#copies[index] ?? 0) + change;
    }
  }

  #wait(entry: Entry): void {
    entry.place = this.#waiting.length;
    this.#waiting.push(entry);
  }

  #stopWaiting(entry: Entry): void {
    const last = this.#waiting.pop();
    if (last === undefined || last === entry) return;
    last.place = entry.place;
    this.#waiting[entry.place] = last;
  }

  #find(taken: TakenTask): Entry | undefined {
    for (const entry of this.#inFlight) if (entry.task === taken.task) return entry;
    return undefined;
  }
}
