import {
  ConfigError,
  ExecutionError,
  InvalidInputError,
  InvalidModelError,
  isSwarmError,
  LimitError,
  type SwarmError,
} from '../../protocols/errors.ts';
import type { TensorSpec } from '../../protocols/types.ts';

/** How the runtime holds and runs a model. */
export interface SessionSettings {
  /** Execution provider to use, such as `cpu`; operators it lacks run on the CPU. */
  readonly provider: string;
  /** Which GPU, as the provider counts them; ignored by providers without a choice. */
  readonly deviceId: number;
  /** Threads inside one operator. */
  readonly threads: number;
}

/** What a child must do before anything else. */
export interface LoadCommand {
  readonly directory: string;
  readonly entry: string;
  readonly settings: SessionSettings;
  /** Bytes of all outputs of one run. */
  readonly maxResponseBytes: number;
}

/** What a child says of the model it loaded. */
export interface LoadReport {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Outputs left out, each with its reason. */
  readonly notes: readonly string[];
  readonly memoryBytes: number;
  /** Of ONNX Runtime. */
  readonly runtimeVersion: string;
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
    default:
      return new ExecutionError(failure.message);
  }
}
