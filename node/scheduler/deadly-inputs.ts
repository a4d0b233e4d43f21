import { createHash } from 'node:crypto';
import { BoundedMap } from '../../protocols/bounded-map.ts';
import { InvalidInputError } from '../../protocols/errors.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';

/** Times that an input may end the process: once may have been the host's fault. */
const MAX_DEATHS = 2;

/** Inputs remembered; the oldest is forgotten for a new one. */
const MAX_REMEMBERED = 64;

/** Inputs that ended the model's process when they ran alone. Whoever sends one again must not take the process from the others. */
export class DeadlyInputs {
  readonly #deaths = new BoundedMap<string, number>(MAX_REMEMBERED);

  add(inputs: readonly NamedTensor[]): void {
    const digest = digestOf(inputs);
    this.#deaths.set(digest, (this.#deaths.get(digest) ?? 0) + 1);
  }

  /** @throws {ERR_INVALID_INPUT} when the input has done so twice. */
  check(inputs: readonly NamedTensor[]): void {
    // The digest costs as much as the input is long: nobody pays for it while nothing was deadly.
    if (this.#deaths.size === 0 || (this.#deaths.get(digestOf(inputs)) ?? 0) < MAX_DEATHS) return;
    throw new InvalidInputError(
      `this input has ended the model's process ${MAX_DEATHS} times on this node: it is run no more`,
    );
  }
}

function digestOf(inputs: readonly NamedTensor[]): string {
  const hash = createHash('sha256');
  for (const { name, tensor } of inputs) {
    hash.update(JSON.stringify([name, tensor.datatype, tensor.shape, tensor.bytes.byteLength]));
    hash.update(tensor.bytes);
  }
  return hash.digest('base64');
}
