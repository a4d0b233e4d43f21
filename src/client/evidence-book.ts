import type { NodeId, OwnerId } from '../../protocols/types.ts';
import { avoidedUntilMs, DOUBT_MS, type StandingCharge } from '../policy/distrust.ts';
import { type Avoided, NOBODY } from '../policy/routing.ts';
import type { Evidence } from './evidence.ts';

/** Pieces of evidence at most; doubts go first, those that are over before the others, then the oldest lie. */
export const MAX_EVIDENCE = 256;

/** Where evidence outlives the process. */
export interface EvidenceStore {
  /** All that was kept, the oldest first. */
  read(): Promise<readonly Evidence[]>;
  keep(evidence: Evidence): Promise<void>;
}

/**
 * Which nodes this client found to answer wrongly, and so does not ask.
 *
 * A lie costs its owner everything: no node of theirs is asked again. A doubt costs the node an hour.
 */
export class EvidenceBook {
  readonly #store: EvidenceStore | undefined;
  #evidence: Evidence[] = [];
  /** Until when a node or an owner is not asked. */
  readonly #untilMs = new Map<string, number>();
  #writing: Promise<void> = Promise.resolve();

  private constructor(store: EvidenceStore | undefined) {
    this.#store = store;
  }

  /**
   * The book with what its store has; without one it is forgotten with the process.
   *
   * @throws {ERR_STORE} when what was kept cannot be read: a liar would be asked again.
   */
  static async open(store?: EvidenceStore): Promise<EvidenceBook> {
    return EvidenceBook.of((await store?.read()) ?? [], store);
  }

  /** The book with what was read already, the oldest first. */
  static of(evidence: readonly Evidence[], store?: EvidenceStore): EvidenceBook {
    const book = new EvidenceBook(store);
    for (const one of evidence) book.#take(one);
    return book;
  }

  /** All that stands, the oldest first. */
  get evidence(): readonly Evidence[] {
    return this.#evidence;
  }

  /** True for a node that is not to be asked now. */
  avoids(node: NodeId, owner: OwnerId, nowMs: number): boolean {
    return this.#untilMs.size > 0 && this.avoidedUntilMs(node, owner) > nowMs;
  }

  /** Milliseconds since 1970 from which a node is asked again: infinite when never, 0 when nothing is held against it. */
  avoidedUntilMs(node: NodeId, owner: OwnerId): number {
    return Math.max(this.#untilMs.get(node) ?? 0, this.#untilMs.get(owner) ?? 0);
  }

  /** Whom no call goes to now: {@link NOBODY} while nothing is held against anybody. */
  avoided(nowMs: number): Avoided {
    if (this.#untilMs.size === 0) return NOBODY;
    const ids = [...this.#untilMs].filter(([, untilMs]) => untilMs > nowMs).map(([id]) => id);
    // By a key that is both, a node that is its own owner is meant as both.
    return { nodes: new Set(ids as NodeId[]), owners: new Set(ids as unknown as OwnerId[]) };
  }

  /** Takes note at once, and writes it down in the background; nothing more of who is never asked again. */
  add(evidence: Evidence): void {
    const { node, owner } = evidence.accused;
    // Several calls may find the same liar at the same time.
    if (this.avoids(node, owner, Number.MAX_SAFE_INTEGER)) return;
    this.#take(evidence);
    const store = this.#store;
    if (store === undefined) return;
    // One after the other, and the first failure is the one that `settled` tells.
    this.#writing = this.#writing.then(() => store.keep(evidence));
    this.#writing.catch(() => {
      // Told by `settled`.
    });
  }

  /**
   * Resolves once all is written down.
   *
   * @throws {ERR_STORE} when something could not be.
   */
  async settled(): Promise<void> {
    await this.#writing;
  }

  #take(evidence: Evidence): void {
    this.#evidence.push(evidence);
    const { node, owner } = evidence.accused;
    const charges = this.#evidence.filter(({ accused }) => accused.node === node);
    const untilMs = avoidedUntilMs(charges.map(toCharge));
    this.#untilMs.set(untilMs === Number.POSITIVE_INFINITY ? owner : node, untilMs);
    this.#trim(evidence.atMs);
  }

  #trim(nowMs: number): void {
    if (this.#evidence.length <= MAX_EVIDENCE) return;
    const isDoubt = ({ charge }: Evidence): boolean => charge !== 'lie';
    const over = this.#evidence.findIndex((one) => isDoubt(one) && one.atMs + DOUBT_MS < nowMs);
    const doubt = over === -1 ? this.#evidence.findIndex(isDoubt) : over;
    const [gone] = this.#evidence.splice(Math.max(0, doubt), 1);
    if (gone === undefined) return;
    const { node, owner } = gone.accused;
    for (const id of [node, owner]) {
      const stands = this.#evidence.some(
        ({ accused }) => accused.node === id || accused.owner === id,
      );
      if (!stands) this.#untilMs.delete(id);
    }
  }
}

function toCharge({ charge, inputDigest, atMs }: Evidence): StandingCharge {
  return { charge, inputDigest, atMs };
}
