import { digestText } from '../../protocols/digest.ts';
import type { ChunkList } from '../../protocols/manifest/index.ts';
import type { ChunkPlace } from '../../src/swarm/version-sink.ts';

/** Where each chunk of a version belongs, and which ones are there, verified. */
export class ChunkMap {
  /** Every place, by index of its file and of itself in the file. */
  readonly files: readonly (readonly ChunkPlace[])[];
  /** By file, one byte per chunk: 1 when it is in place. */
  readonly #inPlace: readonly Uint8Array[];
  /** One place in place for each digest that has any. */
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
    this.#inPlace = lists.map(({ length }) => new Uint8Array(length));
    this.#missingBytes = lists.flat().reduce((total, { size }) => total + size, 0);
  }

  /** Bytes of the chunks that are not in place. */
  get missingBytes(): number {
    return this.#missingBytes;
  }

  has(place: ChunkPlace): boolean {
    return this.#inPlace[place.file]?.[place.index] === 1;
  }

  /** The bytes of a place are there and were verified. */
  add(place: ChunkPlace): void {
    this.#byDigest.set(digestText(place.digest), place);
    if (this.has(place)) return;
    this.#set(place, 1);
    this.#missingBytes -= place.size;
  }

  /** The bytes of a place turned out to be damaged. */
  delete(place: ChunkPlace): void {
    const key = digestText(place.digest);
    if (this.#byDigest.get(key) === place) this.#byDigest.delete(key);
    if (!this.has(place)) return;
    this.#set(place, 0);
    this.#missingBytes += place.size;
  }

  /** A place whose bytes have this digest, in hexadecimal, and are there. */
  find(key: string): ChunkPlace | undefined {
    return this.#byDigest.get(key);
  }

  missing(): ChunkPlace[] {
    return this.files.flatMap((places) => places.filter((place) => !this.has(place)));
  }

  #set({ file, index }: ChunkPlace, value: 0 | 1): void {
    const flags = this.#inPlace[file];
    if (flags !== undefined) flags[index] = value;
  }
}
