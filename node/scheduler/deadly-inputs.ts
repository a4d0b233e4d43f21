import { createHash } from 'node:crypto';
import { BoundedMap } from '../../protocols/bounded-map.ts';
import { InvalidInputError } from '../../protocols/errors.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';

/** Times that an input may end the process: once may have been the host's fault. */
const MAX_DEATHS = 2;

/** Inputs remembered; the oldest is forgotten for a new one. */
const MAX_REMEMBERED = 64;

/** Pieces of a tensor, and bytes of each, that its sample is made of. */
const SAMPLE_PIECES = 16;
const SAMPLE_PIECE_BYTES = 64;

/** Inputs that ended the model's process when they ran alone. Whoever sends one again must not take the process from the others. */
export class DeadlyInputs {
  /** By digest: times, and the sample by which a digest is thought worth its cost. */
  readonly #deaths = new BoundedMap<string, { readonly sample: string; readonly times: number }>(
    MAX_REMEMBERED,
  );

  add(inputs: readonly NamedTensor[]): void {
    const digest = digestOf(inputs, wholeOf);
    const times = (this.#deaths.get(digest)?.times ?? 0) + 1;
    this.#deaths.set(digest, { sample: digestOf(inputs, samplesOf), times });
  }

  /** @throws {ERR_INVALID_INPUT} when the input has done so twice. */
  check(inputs: readonly NamedTensor[]): void {
    // The digest costs as much as the input is long: only an input that looks like a deadly one pays for it.
    if (this.#deaths.size === 0) return;
    const sample = digestOf(inputs, samplesOf);
    const alike = [...this.#deaths.values()].some((death) => death.sample === sample);
    if (!alike) return;
    const times = this.#deaths.get(digestOf(inputs, wholeOf))?.times ?? 0;
    if (times < MAX_DEATHS) return;
    throw new InvalidInputError(
      `this input has ended the model's process ${MAX_DEATHS} times on this node: it is run no more`,
    );
  }
}

function digestOf(
  inputs: readonly NamedTensor[],
  piecesOf: (bytes: Uint8Array) => readonly Uint8Array[],
): string {
  const hash = createHash('sha256');
  for (const { name, tensor } of inputs) {
    hash.update(JSON.stringify([name, tensor.datatype, tensor.shape, tensor.bytes.byteLength]));
    for (const piece of piecesOf(tensor.bytes)) hash.update(piece);
  }
  return hash.digest('base64');
}

function wholeOf(bytes: Uint8Array): readonly Uint8Array[] {
  return [bytes];
}

/** Pieces from the first byte to the last, at equal distances. */
function samplesOf(bytes: Uint8Array): readonly Uint8Array[] {
  const last = bytes.byteLength - SAMPLE_PIECE_BYTES;
  if (last <= SAMPLE_PIECES * SAMPLE_PIECE_BYTES) return [bytes];
  return Array.from({ length: SAMPLE_PIECES }, (_, index) => {
    const start = Math.floor((last * index) / (SAMPLE_PIECES - 1));
    return bytes.subarray(start, start + SAMPLE_PIECE_BYTES);
  });
}
