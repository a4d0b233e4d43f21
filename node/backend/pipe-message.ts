import {
  ConfigError,
  ExecutionError,
  InvalidInputError,
  InvalidMessageError,
  InvalidModelError,
  isSwarmError,
  LimitError,
  StoreError,
  type SwarmError,
} from '../../protocols/errors.ts';
import { MAX_REMOTE_TEXT } from '../../protocols/limits.ts';
import type { SessionOptions } from '../../protocols/manifest/session-options.ts';
import type { TensorSpec } from '../../protocols/types.ts';

/** Characters of a failure's message that are kept; a sentence with a few names and shapes. */
const MAX_FAILURE_TEXT = 2 * MAX_REMOTE_TEXT;

/** How the runtime holds and runs a model. */
export interface SessionSettings {
  /** Execution provider to use, such as `cpu`. */
  readonly provider: string;
  /** Which GPU, as the provider counts them; ignored by providers without a choice. */
  readonly deviceId: number;
  /** Threads inside one operator. */
  readonly threads: number;
  /** Whether operators the provider lacks may run on the CPU; without, a model with such an operator is refused. */
  readonly cpuFallback: boolean;
  /** What the publisher wants; its threads are counted in `threads` already. */
  readonly session: Pick<SessionOptions, 'graphOptimizationLevel' | 'memoryPattern'>;
}

/** What a child must do before anything else. */
export interface LoadCommand {
  readonly directory: string;
  readonly entry: string;
  readonly settings: SessionSettings;
  /** Bytes of all outputs of one run. */
  readonly maxResponseBytes: number;
  /** Whether a model that can loop is refused. */
  readonly refuseLoops: boolean;
  /** Makes the prepacked form of the model in the working directory, or loads it from a folder. @default the files as they are */
  readonly prepacked?: { readonly make: true } | { readonly directory: string } | undefined;
}

/** What a child says of the model it loaded. */
export interface LoadReport {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Outputs left out, each with its reason. */
  readonly notes: readonly string[];
  /** Operators that go on for as long as an input says. */
  readonly loops: readonly string[];
  readonly memoryBytes: number;
  /** Of ONNX Runtime. */
  readonly runtimeVersion: string;
  /** Execution providers the runtime was built with; which of them work here only a run can tell. */
  readonly runtimeProviders: readonly string[];
}

/** An error on the pipe. */
export interface PipeFailure {
  readonly code: string;
  readonly message: string;
}

/** The form an error travels in; one that is not ours becomes an execution error with its text. */
export function encodeFailure(error: unknown): PipeFailure {
  if (isSwarmError(error)) return { code: error.code, message: error.message };
  return {
    code: 'ERR_EXECUTION',
    message: error instanceof Error ? error.message : String(error),
  };
}

/**
 * Reads a failure. What a model's process sends is text from elsewhere, for the model may have taken the process over.
 *
 * @throws {ERR_INVALID_MESSAGE} when it is not one.
 */
export function parsePipeFailure(payload: Uint8Array): PipeFailure {
  const value = parseJson(payload);
  const { code, message } = value as Partial<Record<'code' | 'message', unknown>>;
  if (typeof code !== 'string' || typeof message !== 'string') {
    throw new InvalidMessageError('failure frame without code and message');
  }
  return { code, message: message.slice(0, MAX_FAILURE_TEXT) };
}

/**
 * The object a JSON payload holds.
 *
 * @throws {ERR_INVALID_MESSAGE} when it holds none.
 */
export function parseJson(payload: Uint8Array): object {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(payload).toString());
  } catch (cause) {
    throw new InvalidMessageError('frame is not JSON', { cause });
  }
  if (typeof value === 'object' && value !== null) return value;
  throw new InvalidMessageError(`frame holds a JSON ${typeof value}, expected an object`);
}

/** The error a failure stands for. */
export function decodeFailure(failure: PipeFailure): SwarmError {
  switch (failure.code) {
    case 'ERR_INVALID_INPUT':
      return new InvalidInputError(failure.message);
    case 'ERR_INVALID_MODEL':
      return new InvalidModelError(failure.message);
    case 'ERR_CONFIG':
      return new ConfigError(failure.message);
    case 'ERR_LIMIT':
      return new LimitError(failure.message);
    case 'ERR_STORE':
      return new StoreError(failure.message);
    default:
      return new ExecutionError(failure.message);
  }
}
