import type { Stream } from '@libp2p/interface';
import { streamPair } from '@libp2p/utils';
import { expect, vi } from 'vitest';
import {
  CallerAccounts,
  type ExecutionResult,
  handleInference,
  InferenceConnection,
  type InferenceConnectionInit,
  type InferenceHandler,
  type InferenceHandlerInit,
  type InferenceRequest,
  type RequestHeader,
} from '../../protocols/inference/index.ts';
import { type NamedTensor, Tensor } from '../../protocols/tensor.ts';
import type { LoadReport, VersionCid } from '../../protocols/types.ts';

export const VERSION = 'bafyreigfobgggyyn37zoptjtamrw7nuql7qmdocz4nirtx5adrznfpwgme' as VersionCid;
export const LOAD: LoadReport = { inFlight: 1, queued: 2, slots: 4, serviceMs: 1.5 };
export const WAIT = { interval: 2, timeout: 10_000 };

/** A request with one UINT8 input of so many bytes, each byte its index modulo 251. */
export function requestOf(
  byteLength: number,
  changes: Partial<InferenceRequest> = {},
): InferenceRequest {
  const bytes = new Uint8Array(byteLength);
  for (let index = 0; index < Math.min(251, byteLength); index += 1) bytes[index] = index;
  for (let filled = 251; filled < byteLength; filled *= 2) bytes.copyWithin(filled, 0, filled);
  return {
    version: VERSION,
    deadlineMs: 30_000,
    priority: 0,
    traceparent: '',
    outputs: [],
    inputs: [{ name: 'x', tensor: new Tensor('UINT8', [byteLength], bytes) }],
    ...changes,
  };
}

export function resultOf(outputs: readonly NamedTensor[]): ExecutionResult {
  return { outputs, queueMs: 0.25, executeMs: 1.5, load: LOAD, releaseSequence: 7 };
}

/** A request that was let in and waits for the test to answer it. */
export interface HeldExecution {
  readonly header: RequestHeader;
  readonly inputs: readonly NamedTensor[];
  readonly signal: AbortSignal;
  /** Gives the inputs back. */
  readonly echo: () => void;
  readonly answer: (result: ExecutionResult) => void;
  readonly fail: (error: unknown) => void;
}

/** Lets every request in unless told otherwise, and holds it until the test answers. */
export class HeldHandler implements InferenceHandler {
  readonly admitted: {
    readonly header: RequestHeader;
    readonly caller: string;
    readonly bodyBytes: number;
  }[] = [];
  readonly executions: HeldExecution[] = [];
  /** Thrown from `admit` when set. */
  refusal: Error | undefined;
  /** Answers at once instead of holding. */
  readonly #echoes: boolean;

  constructor(options: { readonly echoes: boolean } = { echoes: false }) {
    this.#echoes = options.echoes;
  }

  admit(header: RequestHeader, context: { readonly caller: string; readonly bodyBytes: number }) {
    this.admitted.push({ header, ...context });
    if (this.refusal !== undefined) throw this.refusal;
    return {
      execute: (inputs: readonly NamedTensor[], { signal }: { readonly signal: AbortSignal }) => {
        const { promise, resolve, reject } = Promise.withResolvers<ExecutionResult>();
        const echo = (): void => resolve(resultOf(inputs));
        this.executions.push({ header, inputs, signal, echo, answer: resolve, fail: reject });
        if (this.#echoes) echo();
        return promise;
      },
    };
  }

  load(): LoadReport {
    return LOAD;
  }

  /** The execution of this place in the order they began, once it began. */
  async executing(index = 0): Promise<HeldExecution> {
    return vi.waitFor(() => {
      const execution = this.executions[index];
      if (execution === undefined) throw new Error(`${this.executions.length} executions began`);
      return execution;
    }, WAIT);
  }
}

export interface ServedStream {
  /** Resolves when `handleInference` does. */
  readonly served: Promise<void>;
  readonly protocolErrors: Error[];
}

export function serve(
  stream: Stream,
  handler: InferenceHandler,
  init: InferenceHandlerInit = {},
): ServedStream {
  const protocolErrors: Error[] = [];
  const served = handleInference(stream, 'caller', handler, {
    // Of its own: streams that other tests have left open count for the process.
    accounts: new CallerAccounts(),
    ...init,
    onProtocolError: (error) => protocolErrors.push(error),
  });
  return { served, protocolErrors };
}

/** A client and a node on the two ends of a stream in memory. */
export async function openInference(
  handler: InferenceHandler,
  init: InferenceConnectionInit & InferenceHandlerInit = {},
): Promise<ServedStream & { readonly connection: InferenceConnection; readonly inbound: Stream }> {
  const [outbound, inbound] = await streamPair();
  const served = serve(inbound, handler, init);
  return { connection: new InferenceConnection(outbound, init), inbound, ...served };
}

/** Ends the client's side and waits until the node's side has noticed. */
export async function closeInference(opened: {
  readonly connection: InferenceConnection;
  readonly served: Promise<void>;
}): Promise<void> {
  expect(opened.connection.inFlight).toBe(0);
  await opened.connection.close();
  await opened.served;
}
