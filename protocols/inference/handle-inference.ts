import type { Stream } from '@libp2p/interface';
import { isSwarmError } from '../errors.ts';
import { BodyBudget } from './body-budget.ts';
import { type CallerAccount, CallerAccounts } from './caller-accounts.ts';
import type { InferenceHandler } from './handler.ts';
import { serveInference } from './server-stream.ts';

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
