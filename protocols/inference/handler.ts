import type { Stream } from '@libp2p/interface';
import { isSwarmError } from '../errors.ts';
import type { NamedTensor } from '../tensor.ts';
import type { LoadReport, VersionCid } from '../types.ts';
import { BodyBudget } from './body-budget.ts';
import { type CallerAccount, CallerAccounts } from './caller-accounts.ts';
import type { Cancellation } from './cancellation.ts';
import type { RequestHeader } from './message.ts';
import { serveInference } from './server-stream.ts';

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

export interface InferenceHandlerInit {
  /** Memory for bodies on their way in, shared by all streams of a node. @default one for the whole process */
  readonly budget?: BodyBudget | undefined;
  /** What callers have open at a node, shared by all its streams. @default one for the whole process */
  readonly accounts?: CallerAccounts | undefined;
  /** Milliseconds a caller may send nothing of a body it was given credit for. @default FRAME_TIMEOUT_MS of docs/limits.md */
  readonly bodyTimeoutMs?: number | undefined;
  /** Milliseconds a caller has to end a frame it began. @default FRAME_TIMEOUT_MS of docs/limits.md */
  readonly frameTimeoutMs?: number | undefined;
  /** Hears why a stream was reset. */
  readonly onProtocolError?: ((error: Error) => void) | undefined;
}

const processBudget = new BodyBudget();
const processAccounts = new CallerAccounts();

/**
 * Answers the requests of one inbound stream until it ends; the promise resolves then, and never rejects. A peer that breaks
 * the protocol gets its stream reset; what it asked for is cancelled.
 */
export async function handleInference(
  stream: Stream,
  caller: string,
  handler: InferenceHandler,
  init: InferenceHandlerInit = {},
): Promise<void> {
  let account: CallerAccount;
  try {
    account = (init.accounts ?? processAccounts).open(caller);
  } catch (error) {
    if (!isSwarmError(error)) throw error;
    stream.abort(error);
    init.onProtocolError?.(error);
    return;
  }
  await new Promise<void>((resolve) => {
    serveInference(stream, caller, handler, {
      account,
      budget: init.budget ?? processBudget,
      bodyTimeoutMs: init.bodyTimeoutMs,
      frameTimeoutMs: init.frameTimeoutMs,
      onEnd: (error) => {
        account.closeStream();
        if (error !== undefined) init.onProtocolError?.(error);
        resolve();
      },
    });
  });
}
