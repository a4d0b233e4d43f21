import { digestText } from '../../protocols/digest.ts';
import type { ChunkList } from '../../protocols/manifest/index.ts';
import {
  bitBytes,
  type Holdings,
  MAX_HOLDING_CHUNKS,
  NOTHING,
  setBit,
} from '../../protocols/transfer/index.ts';
import type { ChunkPlace } from '../../src/swarm/version-sink.ts';

/** What is known of one place. */
const MISSING = 0;
const IN_PLACE = 1;
const COMING = 2;

/** Where each chunk of a version belongs, and which ones are there, verified. */
export class ChunkMap {
  /** Every place, by index of its file and of itself in the file. */
  readonly files: readonly (readonly ChunkPlace[])[];
  /** By file, one byte per chunk: `MISSING`, `IN_PLACE` or `COMING`. */
  readonly #states: readonly Uint8Array[];
  /** One place in place for each digest that has one. */
  readonly #byDigest = new Map<string, ChunkPlace>();
  #missingBytes: number;

  /** @param lists The chunk lists of the files, in the order of the manifest. */
  constructor(lists: readonly ChunkList[]) {
    this.files = lists.map((list, file) => {
      let offset = 0;
      return list.map(({ digest, size }, index) => {
        const place = { file, index, offset, size, digest };
        offset += size;
        return place;
      });
    });
    this.#states = lists.map(({ length }) => new Uint8Array(length));
    this.#missingBytes = lists.flat().reduce((total, { size }) => total + size, 0);
  }

  /** Bytes of the chunks that are not in place. */
  get missingBytes(): number {
    return this.#missingBytes;
  }

  has(place: ChunkPlace): boolean {
    return this.#states[place.file]?.[place.index] === IN_PLACE;
  }

  /** The bytes of a place are on their way, or no longer are; changes nothing where they are in place. */
  expect(place: ChunkPlace, coming: boolean): void {
    if (!this.has(place)) this.#set(place, coming ? COMING : MISSING);
  }

  /** The bytes of a place are there and were verified. */
  add(place: ChunkPlace): void {
    this.#byDigest.set(digestText(place.digest), place);
    if (this.has(place)) return;
    this.#set(place, IN_PLACE);
    this.#missingBytes -= place.size;
  }

  /** The bytes of a place turned out to be damaged. */
  delete(place: ChunkPlace): void {
    const key = digestText(place.digest);
    if (this.#byDigest.get(key) === place) this.#byDigest.delete(key);
    if (!this.has(place)) return;
    this.#set(place, MISSING);
    this.#missingBytes += place.size;
  }

  /** A place whose bytes have this digest, in hexadecimal, and are there. */
  find(key: string): ChunkPlace | undefined {
    return this.#byDigest.get(key);
  }

  missing(): ChunkPlace[] {
    return this.files.flatMap((places) => places.filter((place) => !this.has(place)));
  }

  /** What others are told of it. */
  holdings(): Holdings {
    const count = this.#states.reduce((total, { length }) => total + length, 0);
    if (count > MAX_HOLDING_CHUNKS) return NOTHING;
    const has = new Uint8Array(bitBytes(count));
    const coming = new Uint8Array(bitBytes(count));
    let chunk = 0;
    for (const states of this.#states) {
      for (const state of states) {
        if (state === IN_PLACE) setBit(has, chunk);
        else if (state === COMING) setBit(coming, chunk);
        chunk += 1;
      }
    }
    return { whole: false, count, has, coming };
  }

  #set({ file, index }: ChunkPlace, state: number): void {
    const states = this.#states[file];
    if (states !== undefined) states[index] = state;
  }
}
