/** What passes between the thread of the network and the one that reads golden vectors. */

import type { Datatype } from '../../protocols/datatype.ts';
import type { ErrorCode, ErrorDetails } from '../../protocols/errors.ts';
import { type NamedTensor, Tensor } from '../../protocols/tensor.ts';
import type { OutputDifference } from '../../src/policy/output-comparison.ts';
import type { GoldenJudgeOptions } from './golden-judge.ts';

/** What a thread begins with. */
export interface ThreadInit extends GoldenJudgeOptions {
  /** The file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What a thread says, a question until it has judged or failed; each question is answered with {@link PackedTensor}s. */
export type ThreadAnswer =
  | {
      readonly type: 'question';
      readonly inputs: readonly PackedTensor[];
      readonly wanted: readonly string[];
    }
  | { readonly type: 'judged'; readonly difference: OutputDifference | undefined }
  | {
      readonly type: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly details: ErrorDetails;
    };

/** A tensor as plain data: classes do not pass. */
export interface PackedTensor {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Refers to the tensors' memory; what several share is copied once on its way. */
export function packTensors(tensors: readonly NamedTensor[]): PackedTensor[] {
  return tensors.map(({ name, tensor: { datatype, shape, bytes } }) => ({
    ...{ name, datatype, shape, bytes },
  }));
}

export function unpackTensors(packed: readonly PackedTensor[]): NamedTensor[] {
  return packed.map(({ name, datatype, shape, bytes }) => ({
    name,
    tensor: new Tensor(datatype, shape, bytes),
  }));
}
