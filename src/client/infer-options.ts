import { InvalidInputError } from '../../protocols/errors.ts';
import { MAX_TENSORS } from '../../protocols/limits.ts';
import { describeValue } from '../../protocols/nested-array.ts';
import { MAX_TRACESTATE_BYTES } from '../../protocols/trace-context.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import type { VerificationRule } from '../policy/verification.ts';
import { type ProgressListener, ProgressReporter } from './call-progress.ts';
import { describeOptionsFault, describeSignalFault, type FieldsOf } from './known-fields.ts';
import {
  type NodePreference,
  type ResolvedNodePreference,
  resolveNodePreference,
} from './node-preference.ts';
import { resolveVerifyOptions, type VerifyOptions } from './verify-options.ts';

/** UTF-16 units of a request's key, and of what it is affine to. */
const MAX_KEY_LENGTH = 1024;

/** Milliseconds of a deadline at most: a day. */
const MAX_DEADLINE_MS = 86_400_000;

const MAX_PRIORITY = 255;

export interface InferOptions extends AbortOptions {
  /** Milliseconds the call may take in all, resolving and retries included. @default the client's `deadlineMs` */
  readonly deadlineMs?: number | undefined;
  /** 0 is the default; a higher one goes first in a node's queue. From 0 to 255. @default 0 */
  readonly priority?: number | undefined;
  /** Names of the outputs wanted; empty for all. @default [] */
  readonly outputs?: readonly string[] | undefined;
  /** W3C trace context to carry to the node. @default '' */
  readonly traceparent?: string | undefined;
  /** W3C trace state that goes with it, of at most 512 characters. @default none */
  readonly tracestate?: string | undefined;
  /**
   * What the request belongs to, such as a user or a session, of at most 1024 characters: while a canary takes a share of the
   * requests, one key always goes to the same side. It is not sent. @default none: each request is drawn at random
   */
  readonly key?: string | undefined;
  /**
   * What the request has in common with others, such as a session whose data a node may still have at hand, of at most 1024
   * characters: requests of one affinity go to the same node while it keeps up. It is not sent. @default none
   */
  readonly affinity?: string | undefined;
  /** Which nodes the call would rather be answered by. @default any */
  readonly prefer?: NodePreference | undefined;
  /**
   * Have the node sign a receipt of its answer, which `result.receipt` then is; a node that signs none is passed over. Off by
   * default: a signature takes some 50 µs on the node and its check 120 on the caller, and both hash all tensors. @default false; true with `verify`
   */
  readonly receipt?: boolean | undefined;
  /**
   * Have nodes of so many different owners run it, and give the answer on which they agree; see docs/trust.md for what that
   * proves. Each of them sees the inputs and computes. @default none: one node's answer is taken
   */
  readonly verify?: VerifyOptions | undefined;
  /**
   * Hears what happens to the call, at a bounded rate, and never once it has ended. It is called amid the work: what takes long
   * belongs elsewhere, and what it throws does not reach the call. @default nobody
   */
  readonly onProgress?: ProgressListener | undefined;
}

const FIELDS: FieldsOf<InferOptions> = {
  ...{ signal: true, deadlineMs: true, priority: true, outputs: true, traceparent: true },
  ...{ tracestate: true, key: true, affinity: true, prefer: true, receipt: true },
  ...{ verify: true, onProgress: true },
};

/** {@link InferOptions} with every default filled in, but for what is not there when it is not given. */
export interface ResolvedInferOptions {
  readonly signal: AbortSignal | undefined;
  readonly deadlineMs: number;
  readonly priority: number;
  readonly outputs: readonly string[];
  readonly traceparent: string;
  readonly tracestate: string | undefined;
  readonly key: string | undefined;
  readonly affinity: string | undefined;
  readonly prefer: ResolvedNodePreference;
  readonly receipt: boolean;
  readonly verify: VerificationRule | undefined;
  readonly progress: ProgressReporter | undefined;
}

/**
 * Fills in defaults and checks ranges.
 *
 * @throws {ERR_INVALID_INPUT} naming the option that is wrong, what was expected and what was found, or that there is none of.
 */
export function resolveInferOptions(
  options: InferOptions,
  defaults: { readonly deadlineMs: number },
): ResolvedInferOptions {
  const fault = describeOptionsFault(options, FIELDS);
  if (fault !== undefined) throw new InvalidInputError(`infer options: ${fault}`);
  const { signal, traceparent = '', tracestate, key, affinity } = options;
  const signalFault = describeSignalFault(signal);
  if (signalFault !== undefined) {
    throw new InvalidInputError(`infer option signal: ${signalFault}`);
  }
  const { outputs = [], priority = 0 } = options;
  const deadlineMs = options.deadlineMs ?? defaults.deadlineMs;
  if (typeof deadlineMs !== 'number' || !(deadlineMs > 0 && deadlineMs <= MAX_DEADLINE_MS)) {
    throw wrong('deadlineMs', `more than 0 and at most ${MAX_DEADLINE_MS} ms`, deadlineMs);
  }
  if (!Number.isInteger(priority) || priority < 0 || priority > MAX_PRIORITY) {
    throw wrong('priority', `an integer from 0 to ${MAX_PRIORITY}`, priority);
  }
  checkOutputs(outputs);
  if (typeof traceparent !== 'string') throw wrong('traceparent', 'a string', traceparent);
  if (tracestate !== undefined && typeof tracestate !== 'string') {
    throw wrong('tracestate', 'a string', tracestate);
  }
  if ((tracestate?.length ?? 0) > MAX_TRACESTATE_BYTES) {
    throw wrong('tracestate', `at most ${MAX_TRACESTATE_BYTES} characters`, tracestate?.length);
  }
  checkKey('key', key);
  checkKey('affinity', affinity);
  const prefer = resolveNodePreference(options.prefer);
  const progress = reporterOf(options.onProgress);
  const { receipt = false } = options;
  if (typeof receipt !== 'boolean') throw wrong('receipt', 'true or false', receipt);
  const verify = options.verify === undefined ? undefined : resolveVerifyOptions(options.verify);
  return {
    ...{ signal, deadlineMs, priority, outputs, traceparent, tracestate },
    ...{ key, affinity, prefer, progress },
    ...{ receipt, verify },
  };
}

function reporterOf(listener: ProgressListener | undefined): ProgressReporter | undefined {
  if (listener === undefined) return undefined;
  if (typeof listener !== 'function') throw wrong('onProgress', 'a function', listener);
  return new ProgressReporter(listener);
}

function checkOutputs(outputs: readonly string[]): void {
  if (!Array.isArray(outputs)) throw wrong('outputs', 'an array of names', outputs);
  if (outputs.length > MAX_TENSORS) {
    throw wrong('outputs', `at most ${MAX_TENSORS} names`, outputs.length);
  }
  for (const [index, name] of outputs.entries()) {
    if (typeof name !== 'string') throw wrong(`outputs[${index}]`, 'a name', name);
  }
}

function checkKey(option: 'key' | 'affinity', key: string | undefined): void {
  if (key === undefined) return;
  if (typeof key !== 'string') throw wrong(option, 'a string', key);
  if (key.length <= MAX_KEY_LENGTH) return;
  throw wrong(option, `at most ${MAX_KEY_LENGTH} characters`, key.length);
}

function wrong(option: string, expected: string, found: unknown): InvalidInputError {
  return new InvalidInputError(
    `infer option ${option}: expected ${expected}, found ${describeValue(found)}`,
  );
}
