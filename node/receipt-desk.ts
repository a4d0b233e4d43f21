import type { Ed25519PrivateKey } from '@libp2p/interface';
import type { ExecutionResult, RequestHeader } from '../protocols/inference/index.ts';
import { createReceiptSigner, digestTensors, type Receipt } from '../protocols/receipt/index.ts';
import type { NamedTensor } from '../protocols/tensor.ts';

/** Adds its receipt to the result of an execution that has begun. */
export type ReceiptFor = (
  inputs: readonly NamedTensor[],
  execution: Promise<ExecutionResult>,
) => Promise<ExecutionResult>;

/** Signs receipts of this node's answers, for those requests that ask for one; the others pay nothing. */
export class ReceiptDesk {
  readonly #sign: (receipt: Omit<Receipt, 'node'>) => Uint8Array;

  constructor(key: Ed25519PrivateKey) {
    this.#sign = createReceiptSigner(key);
  }

  /** Takes note of when a request came; undefined when it wants no receipt. */
  open(
    { receiptNonce: nonce, version }: RequestHeader,
    { caller, provider }: Pick<Receipt, 'caller' | 'provider'>,
  ): ReceiptFor | undefined {
    if (nonce === undefined) return undefined;
    const receivedAtMs = Date.now();
    return async (inputs, execution) => {
      // The model's process is at work meanwhile: what the inputs take to be hashed is not waited for as a rule.
      const [result, inputDigest] = await Promise.all([execution, digestTensors(inputs)]);
      const outputDigest = await digestTensors(result.outputs);
      const receipt = this.#sign({
        ...{ caller, nonce, version, provider, receivedAtMs },
        inputs: inputDigest,
        outputs: outputDigest,
        answeredAtMs: Date.now(),
        executeMs: result.executeMs,
      });
      return { ...result, receipt };
    };
  }
}
