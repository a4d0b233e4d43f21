import { createHash } from 'node:crypto';
import { Tensor } from '../../protocols/tensor.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { ServedModel } from './models/model-directory.ts';

/** Bytes that an entry takes beside its tensors, about: its key, names and shapes. */
const ENTRY_BYTES = 512;

export type Outputs = Readonly<Record<string, Tensor>>;

export interface ResponseCacheInit {
  /** `publisher/name` of the models whose answers are kept: who names one says that it answers the same to the same. */
  readonly models: readonly string[];
  /** Bytes of all answers together. */
  readonly maxBytes: number;
}

/**
 * Answers of models that always answer the same, by version and inputs. A new release has another CID, so that nothing here is ever out
 * of date; what was not asked for the longest goes first.
 */
export class ResponseCache {
  readonly #models: ReadonlySet<string>;
  readonly #maxBytes: number;
  /** The one asked for last is last. */
  readonly #entries = new Map<string, { readonly outputs: Outputs; readonly bytes: number }>();
  #bytes = 0;

  constructor({ models, maxBytes }: ResponseCacheInit) {
    this.#models = new Set(models);
    this.#maxBytes = maxBytes;
  }

  /** Bytes of all that is kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * True for a version whose answers are kept: of a model that was named, and with golden vectors. None are made of a model that answers equal
   * inputs differently, so that whoever names one, or gets such a version by a new release, does not have one answer over and over.
   */
  keeps({ name, manifest }: Pick<ServedModel, 'name' | 'manifest'>): boolean {
    return this.#models.has(name) && manifest.golden !== undefined;
  }

  get(key: string): Outputs | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.outputs;
  }

  /** Keeps an answer, whose tensors must not be written to again; one that would need all the room is not kept. */
  set(key: string, outputs: Outputs): void {
    const bytes = Object.values(outputs).reduce(
      (sum, tensor) => sum + tensor.bytes.byteLength,
      ENTRY_BYTES,
    );
    if (bytes > this.#maxBytes) return;
    this.#drop(key);
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes + bytes <= this.#maxBytes) break;
      this.#drop(oldest);
    }
    this.#entries.set(key, { outputs: own(outputs), bytes });
    this.#bytes += bytes;
  }

  #drop(key: string): void {
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0;
    this.#entries.delete(key);
  }
}

/** One key for one question: the version, the inputs whatever their order, and which outputs are wanted. */
export function cacheKey(
  cid: VersionCid,
  inputs: Readonly<Record<string, Tensor>>,
  outputs: readonly string[],
): string {
  const hash = createHash('sha256');
  // Lengths and lists are in JSON, so that no two questions are one text.
  for (const [name, { datatype, shape, bytes }] of Object.entries(inputs).toSorted(byName)) {
    hash.update(JSON.stringify([name, datatype, shape, bytes.byteLength])).update(bytes);
  }
  hash.update(JSON.stringify(outputs.toSorted()));
  return `${cid} ${hash.digest('base64url')}`;
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

/** A tensor may be a window of a whole message, which would stay in memory for it. */
function own(outputs: Outputs): Outputs {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, tensor]) => [name, compact(tensor)]),
  );
}

function compact(tensor: Tensor): Tensor {
  const { datatype, shape, bytes } = tensor;
  if (bytes.byteLength === bytes.buffer.byteLength) return tensor;
  return new Tensor(datatype, shape, bytes.slice());
}
