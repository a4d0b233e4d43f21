import { BoundedMap } from '../../../protocols/bounded-map.ts';
import { NotFoundError } from '../../../protocols/errors.ts';
import type { PublisherId } from '../../../protocols/types.ts';
import { type CatalogResult, isConclusive } from '../../client/catalog-search.ts';
import { raced } from '../../swarm/raced.ts';
import { shown, tooFewAnswered, unknownModel } from './shown-name.ts';

/** Names that are remembered at most. */
const MAX_NAMES = 1024;

/** Milliseconds after which a name is looked for again: a second model of the name must soon be noticed. */
const FRESH_MS = 5_000;

/** Milliseconds a look may take; whoever asks may have less. */
const LOOK_TIMEOUT_MS = 15_000;

export interface BareNamesInit {
  /** Those that have a petname, who come before strangers. */
  readonly trusted: ReadonlySet<PublisherId>;
  /** The models that peers know of whose names contain a text. */
  readonly search: (
    name: string,
    signal: AbortSignal,
  ) => Promise<Pick<CatalogResult, 'models' | 'asked' | 'answered'>>;
  /** Milliseconds, on a clock that never goes back. */
  readonly nowMs: () => number;
}

interface KnownName {
  readonly publisher: PublisherId;
  readonly lookedAtMs: number;
}

/**
 * Whose model a name without a publisher means. A name is looked for by one request at a time, however many want it; and one that was found
 * is looked for again beside the requests, which go on by what is known: peers that are busy, or gone for a moment, take no model away.
 */
export class BareNames {
  readonly #init: BareNamesInit;
  readonly #known = new BoundedMap<string, KnownName>(MAX_NAMES);
  readonly #looks = new Map<string, Promise<PublisherId>>();

  constructor(init: BareNamesInit) {
    this.#init = init;
  }

  /**
   * The one publisher that has a model of this name.
   *
   * @throws {ERR_NOT_FOUND} when none has, or several have. {ERR_CONNECTION} when too few peers answered to say so.
   */
  async publisherOf(name: string, { signal }: { readonly signal: AbortSignal }) {
    const known = this.#known.get(name);
    if (known === undefined) return raced(this.#look(name), signal);
    if (this.#init.nowMs() - known.lookedAtMs >= FRESH_MS) {
      // What is wrong is told to whoever asks once it is no longer known.
      this.#look(name).catch(() => undefined);
    }
    return known.publisher;
  }

  #look(name: string): Promise<PublisherId> {
    const underWay = this.#looks.get(name);
    if (underWay !== undefined) return underWay;
    const look = this.#find(name).finally(() => this.#looks.delete(name));
    this.#looks.set(name, look);
    return look;
  }

  async #find(name: string): Promise<PublisherId> {
    const { search, trusted, nowMs } = this.#init;
    const before = this.#known.get(name);
    // Whatever comes of it, the next look is not before its time.
    if (before !== undefined) this.#known.set(name, { ...before, lookedAtMs: nowMs() });
    const found = await search(name, AbortSignal.timeout(LOOK_TIMEOUT_MS));
    const all = found.models
      .filter((model) => model.name === name)
      .map(({ publisher }) => publisher);
    const named = all.filter((publisher) => trusted.has(publisher));
    const [publisher, another] = named.length > 0 ? named : all;
    if (publisher === undefined) {
      // That a model is gone is seen where it is asked for: its record says so, no silence.
      if (before !== undefined) return before.publisher;
      throw isConclusive(found) ? unknownModel(name) : tooFewAnswered(name, found);
    }
    if (another !== undefined) {
      this.#known.delete(name);
      const few = all.slice(0, 5).map((id) => `${id}/${name}`);
      throw new NotFoundError(
        `model ${shown(name)} is several publishers', expected one of ${few.join(', ')}`,
      );
    }
    this.#known.set(name, { publisher, lookedAtMs: nowMs() });
    return publisher;
  }
}
