import type { NamedTensor } from '../../protocols/tensor.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { CallInputs } from './call-inputs.ts';

/** The inputs of a call whose answer may be checked: it remembers what was sent, though plain values may change afterwards. */
export class SampledInputs implements CallInputs {
  readonly #inputs: CallInputs;
  #sent: readonly NamedTensor[] = [];

  constructor(inputs: CallInputs) {
    this.#inputs = inputs;
    this.#sent = inputs.tensors ?? [];
  }

  get tensors(): readonly NamedTensor[] | undefined {
    return this.#inputs.tensors;
  }

  /** What the call went out with, once it did. */
  get sent(): readonly NamedTensor[] {
    return this.#sent;
  }

  async resolve(cid: VersionCid, signal: AbortSignal): Promise<readonly NamedTensor[]> {
    this.#sent = await this.#inputs.resolve(cid, signal);
    return this.#sent;
  }
}
