import { InvalidInputError } from '../../protocols/errors.ts';
import { describeValue } from '../../protocols/nested-array.ts';
import type { Tensor } from '../../protocols/tensor.ts';

/** An output that a caller wants, and in which form. */
export interface WantedOutput {
  readonly name: string;
  /** Bytes instead of JSON. */
  readonly binary: boolean;
  /** Classes to answer with instead of the tensor; 0 for the tensor. */
  readonly classes: number;
}

/** A request to run a model, whichever protocol it came by. */
export interface InferRequest {
  /** The caller's own id, to be echoed; undefined when it gave none. */
  readonly id: string | undefined;
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Empty for all, in the form of {@link binaryOutputs}. */
  readonly outputs: readonly WantedOutput[];
  readonly binaryOutputs: boolean;
  readonly schedule: Schedule;
}

/** When a request should run: the protocol's `priority` and `timeout`. */
export interface Schedule {
  /** 0 for the default; of the others 1 is the highest. */
  readonly priority: number;
  /** Milliseconds; undefined when the caller set none. */
  readonly timeoutMs: number | undefined;
}

/** The highest priority that nodes know; theirs go up where the protocol's go down. */
const HIGHEST_PRIORITY = 255;

/** Parameters whose meaning the gateway does not carry to the node: to ignore them would answer something else. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  sequence_id: 'requests are independent of each other',
  sequence_start: 'requests are independent of each other',
  sequence_end: 'requests are independent of each other',
  shared_memory_region: 'client and node share no memory',
};

/**
 * Reads the parameters that schedule a request, and refuses those that cannot be honoured; others are ignored.
 *
 * @throws {ERR_INVALID_INPUT} naming the parameter.
 */
export function parseSchedule(parameters: Readonly<Record<string, unknown>>): Schedule {
  refuseUnsupported(parameters);
  const timeoutUs = integerParameter(parameters, 'timeout');
  return {
    priority: integerParameter(parameters, 'priority'),
    // 0 is how clients say none.
    timeoutMs: timeoutUs === 0 ? undefined : timeoutUs / 1000,
  };
}

/** @throws {ERR_INVALID_INPUT} for a parameter of a request or a tensor that would have to change the answer. */
export function refuseUnsupported(parameters: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(parameters)) {
    const off = value === false || value === 0 || value === '' || value === '0';
    if (Object.hasOwn(UNSUPPORTED, name) && !off) {
      throw new InvalidInputError(
        `parameter '${name}' is not supported: ${UNSUPPORTED[name] ?? ''}`,
      );
    }
    if (name.startsWith('triton_') && name !== 'triton_enable_empty_final_response') {
      throw new InvalidInputError(
        `parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting with 'triton_' are allowed: [triton_enable_empty_final_response], found '${name.slice(0, 80)}'`,
      );
    }
  }
}

/** The count in an output's `classification`. @throws {ERR_INVALID_INPUT} when it is none. */
export function parseClasses(parameters: Readonly<Record<string, unknown>>): number {
  return integerParameter(parameters, 'classification');
}

/**
 * The protocol's priority as the nodes have it: one that is given goes before none, 1 before 2.
 *
 * @param highest what the caller's key allows, from 0 to 255
 */
export function nodePriority({ priority }: Schedule, highest = HIGHEST_PRIORITY): number {
  if (priority === 0) return 0;
  return Math.min(highest, Math.max(1, HIGHEST_PRIORITY + 1 - priority));
}

function integerParameter(parameters: Readonly<Record<string, unknown>>, name: string): number {
  const value = Object.hasOwn(parameters, name) ? parameters[name] : 0;
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number;
  throw new InvalidInputError(
    `parameter '${name}' is ${describeValue(value)}, expected an integer from 0`,
  );
}
