import { randomBytes } from 'node:crypto';
import { ForbiddenError, InvalidMessageError } from '../../protocols/errors.ts';
import type { InferenceRequest, InferenceResponse } from '../../protocols/inference/index.ts';
import {
  checkReceipt,
  openReceipt,
  RECEIPT_NONCE_BYTES,
  type SignedReceipt,
} from '../../protocols/receipt/index.ts';
import type { NodeId } from '../../protocols/types.ts';

/** An answer, and its receipt once that was found to be of the call. */
export interface CheckedResponse extends InferenceResponse {
  readonly signed?: SignedReceipt | undefined;
}

/** Bytes by which one request asks for a receipt. */
export function createReceiptNonce(): Uint8Array {
  return new Uint8Array(randomBytes(RECEIPT_NONCE_BYTES));
}

/**
 * Opens the receipt that came with an answer, and checks that it is of this very call; undefined when none was asked for.
 *
 * @throws {ERR_FORBIDDEN} when there is none: a node of an older version, which another may stand in for.
 * @throws {ERR_INVALID_MESSAGE} when it says anything else than what was sent and came.
 */
export async function openAnswerReceipt(
  request: Pick<InferenceRequest, 'version' | 'inputs' | 'receiptNonce'>,
  response: Pick<InferenceResponse, 'outputs' | 'receipt'>,
  { node, caller }: { readonly node: NodeId; readonly caller: string },
): Promise<SignedReceipt | undefined> {
  const { receiptNonce: nonce, version, inputs } = request;
  if (nonce === undefined) return undefined;
  if (response.receipt === undefined) {
    throw new ForbiddenError(`node ${node} gave no receipt with its answer`);
  }
  try {
    const signed = await openReceipt(response.receipt);
    const { outputs } = response;
    await checkReceipt(signed.receipt, { node, caller, nonce, version, inputs, outputs });
    return signed;
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidMessageError(`answer of node ${node} has a wrong receipt: ${text}`, { cause });
  }
}
