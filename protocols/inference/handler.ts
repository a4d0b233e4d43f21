import type { NamedTensor } from '../tensor.ts';
import type { LoadReport, VersionCid } from '../types.ts';
import type { Cancellation } from './cancellation.ts';
import type { RequestHeader } from './message.ts';

/** What executing a request came to. */
export interface ExecutionResult {
  readonly outputs: readonly NamedTensor[];
  readonly queueMs: number;
  readonly executeMs: number;
  /** Of the version, as of now. */
  readonly load: LoadReport;
  /** Sequence of the newest release record known for the model; 0 for none. */
  readonly releaseSequence: number;
  /** Signed, where the request's header asked for one. */
  readonly receipt?: Uint8Array | undefined;
}

/** A request that was let in by its header. */
export interface Admission {
  /**
   * Executes it once its body is there. The outputs must not be written to afterwards: they are sent as they are.
   *
   * It is cancelled when the caller did so, gave up or is gone.
   */
  execute(inputs: readonly NamedTensor[], cancellation: Cancellation): Promise<ExecutionResult>;
}

/** What answers the requests of a stream. */
export interface InferenceHandler {
  /**
   * Decides by the header alone; what it throws is the answer, before any large body is sent.
   *
   * `caller` is the peer id at the other end, `bodyBytes` what all tensors together have.
   */
  admit(
    header: RequestHeader,
    context: { readonly caller: string; readonly bodyBytes: number },
  ): Admission;
  /** How busy a version is: every answer says it. */
  load(version: VersionCid): LoadReport;
}
