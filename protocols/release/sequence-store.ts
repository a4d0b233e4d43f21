import { BoundedMap } from '../bounded-map.ts';

/** The release that is the truth for one model, as far as this peer has seen. */
export interface SeenRelease {
  readonly sequence: number;
  /** sha256 of the signed record: of two records with one sequence, the lower wins. */
  readonly hash: Uint8Array;
  /** When the record expires, milliseconds since 1970. */
  readonly expiresAtMs: number;
}

/** Where the highest sequence seen per model is remembered. Must outlive restarts wherever the records themselves do. */
export interface SequenceStore {
  get(key: string): Promise<SeenRelease | undefined>;
  put(key: string, seen: SeenRelease): Promise<void>;
}

/** Models a {@link createMemorySequenceStore} remembers; the one written longest ago goes first. */
const MAX_REMEMBERED = 10_000;

/** A store for peers that keep no records over a restart, such as clients. */
export function createMemorySequenceStore(): SequenceStore {
  const entries = new BoundedMap<string, SeenRelease>(MAX_REMEMBERED);
  return {
    async get(key) {
      return entries.get(key);
    },
    async put(key, seen) {
      entries.set(key, seen);
    },
  };
}
