import { InvalidModelError } from '../../protocols/errors.ts';
import { quoted } from '../../protocols/quoted.ts';
import type { SignedReceipt } from '../../protocols/receipt/index.ts';
import { formatShape, type NamedTensor, type Tensor } from '../../protocols/tensor.ts';
import { splitRows } from '../../protocols/tensor-rows.ts';
import type { NodeId, OwnerId, VersionCid } from '../../protocols/types.ts';
import type { Verification } from './verified-call.ts';

/** What a call came back with. */
export interface InferResult {
  /** Outputs by name, with their real shapes. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly version: VersionCid;
  /** Sequence of the release record that named the version; 0 when the reference named it. */
  readonly sequence: number;
  /** The channel that the request went to, such as `stable` or `canary`; null when the reference named the version. */
  readonly channel: string | null;
  /** True when the channel's guard has tripped, so that the version before the channel's own answered. */
  readonly fellBack: boolean;
  readonly node: NodeId;
  readonly owner: OwnerId;
  /** Milliseconds from the call to its result, retries included. */
  readonly latencyMs: number;
  readonly queueMs: number;
  readonly executeMs: number;
  /** Nodes that were asked before this one answered, and why each did not. */
  readonly failedAttempts: readonly FailedAttempt[];
  /** Signed by the node, and found to be of this call; undefined unless it was asked for. */
  readonly receipt?: SignedReceipt | undefined;
  /** Who agrees with it; undefined unless `verify` was asked for. */
  readonly verification?: Verification | undefined;
}

export interface FailedAttempt {
  readonly node: NodeId;
  readonly code: string;
  readonly message: string;
}

/** The outputs one by one, in the model's order. */
export function outputsOf({ outputs }: InferResult): Iterable<NamedTensor> {
  return Object.entries(outputs).map(([name, tensor]) => ({ name, tensor }));
}

/**
 * What each of several requests gets of the answer to all of them: its own rows of every output.
 *
 * @param rows of each request
 * @throws {ERR_INVALID_MODEL} when an output has not one row for each row of the inputs.
 */
export function splitResult(result: InferResult, rows: readonly number[]): readonly InferResult[] {
  const total = rows.reduce((sum, count) => sum + count, 0);
  const groups = outputsOf(result);
  const perRequest = rows.map((): Record<string, Tensor> => Object.create(null));
  for (const { name, tensor } of groups) {
    if (tensor.shape[0] !== total) {
      throw new InvalidModelError(
        `output ${quoted(name)} has shape ${formatShape(tensor.shape)}, expected a first dimension of ${total}, a row for each of the batch`,
      );
    }
    for (const [request, group] of splitRows(tensor, rows).entries()) {
      const outputs = perRequest[request];
      if (outputs !== undefined) outputs[name] = group;
    }
  }
  return perRequest.map((outputs) => ({ ...result, outputs }));
}
