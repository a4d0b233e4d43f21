import {
  BusyError,
  InvalidInputError,
  isSwarmError,
  LimitError,
  NoNodeError,
} from '../../protocols/errors.ts';
import type { InferenceRequest, InferenceResponse } from '../../protocols/inference/index.ts';
import { MAX_BODY_BYTES } from '../../protocols/limits.ts';
import { formatModelRef, type ModelRef } from '../../protocols/reference.ts';
import { isRetryableElsewhere } from '../../protocols/status.ts';
import { Tensor, type NamedTensor } from '../../protocols/tensor.ts';
import type { AbortOptions, NodeId, OwnerId, VersionCid } from '../../protocols/types.ts';
import { type Candidate, selectNode } from '../policy/routing.ts';
import type { SwarmPeer } from '../swarm/peer.ts';
import { CallClock } from './call-clock.ts';
import type { ModelResolver, ResolvedModel } from './model-resolver.ts';
import { NodeLink } from './node-link.ts';

/** A model that fails while it runs is tried on this many nodes: one more than the first, lest a bad input visit all. */
const MAX_EXECUTION_FAILURES = 2;

/** Wait before all nodes are asked again, when none said when to come back. */
const RETRY_PAUSE_MS = 50;

/** Longest wait between two rounds. */
const MAX_RETRY_PAUSE_MS = 1_000;

/** How long a call goes round nodes that cannot be reached: one that restarts is back within this. */
const UNREACHABLE_MS = 10_000;

export interface InferOptions extends AbortOptions {
  /** Milliseconds the call may take in all, resolving and retries included. @default the client's `deadlineMs` */
  readonly deadlineMs?: number | undefined;
  /** 0 is the default; a higher one goes first in a node's queue. From 0 to 255. @default 0 */
  readonly priority?: number | undefined;
  /** Names of the outputs wanted; empty for all. @default [] */
  readonly outputs?: readonly string[] | undefined;
  /** W3C trace context to carry to the node. @default '' */
  readonly traceparent?: string | undefined;
}

/** What a call came back with. */
export interface InferResult {
  /** Outputs by name, with their real shapes. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly version: VersionCid;
  /** Sequence of the release record that named the version; 0 when the reference named it. */
  readonly sequence: number;
  readonly node: NodeId;
  readonly owner: OwnerId;
  /** Milliseconds from the call to its result, retries included. */
  readonly latencyMs: number;
  readonly queueMs: number;
  readonly executeMs: number;
  /** Nodes that were asked before this one answered, and why each did not. */
  readonly failedAttempts: readonly FailedAttempt[];
}

export interface FailedAttempt {
  readonly node: NodeId;
  readonly code: string;
  readonly message: string;
}

interface LinkedCandidate extends Candidate {
  readonly link: NodeLink;
  readonly owner: OwnerId;
}

interface Call {
  readonly ref: ModelRef;
  readonly model: ResolvedModel;
  readonly request: Omit<InferenceRequest, 'deadlineMs'>;
  readonly bodyBytes: number;
  readonly clock: CallClock;
  readonly tried: Set<NodeId>;
  readonly failed: FailedAttempt[];
  lastError: unknown;
  executionFailures: number;
  rounds: number;
}

/** Sends each call to the node that should answer it first, and to another when that one does not. */
export class InferenceRouter {
  readonly #peer: SwarmPeer;
  readonly #resolver: ModelResolver;
  readonly #links = new Map<NodeId, NodeLink>();

  constructor(peer: SwarmPeer, resolver: ModelResolver) {
    this.#peer = peer;
    this.#resolver = resolver;
  }

  /** See `SwarmClient.infer`. */
  async infer(
    ref: ModelRef,
    inputs: Readonly<Record<string, Tensor>>,
    options: InferOptions & { readonly deadlineMs: number },
  ): Promise<InferResult> {
    const tensors = namedTensors(inputs);
    const bodyBytes = tensors.reduce((total, { tensor }) => total + tensor.bytes.byteLength, 0);
    if (bodyBytes > MAX_BODY_BYTES) {
      throw new LimitError(
        `request has ${bodyBytes} bytes of tensors, expected at most ${MAX_BODY_BYTES}`,
      );
    }
    using clock = new CallClock(options.deadlineMs, options.signal);
    try {
      const model = await this.#resolver.resolve(ref, clock.signal);
      const request = {
        version: model.cid,
        priority: options.priority ?? 0,
        traceparent: options.traceparent ?? '',
        outputs: options.outputs ?? [],
        inputs: tensors,
      };
      return await this.#run({
        ref,
        model,
        request,
        bodyBytes,
        clock,
        tried: new Set(),
        failed: [],
        lastError: undefined,
        executionFailures: 0,
        rounds: 0,
      });
    } catch (error) {
      throw clock.explain(error, formatModelRef(ref));
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.close()));
    this.#links.clear();
  }

  async #run(call: Call): Promise<InferResult> {
    for (;;) {
      const choice = selectNode(this.#candidates(call.model.cid), call, Date.now(), Math.random);
      if (choice === undefined) {
        await this.#nextRound(call);
        continue;
      }
      try {
        const request = { ...call.request, deadlineMs: call.clock.remainingMs() };
        const response = await choice.link.infer(request, call.bodyBytes, call.clock.signal);
        return result(call, choice, response);
      } catch (error) {
        call.clock.signal.throwIfAborted();
        this.#attemptFailed(call, choice.node, error);
      }
    }
  }

  /** Notes why a node did not answer; throws when no other node could do better. */
  #attemptFailed(call: Call, node: NodeId, error: unknown): void {
    if (!isRetryableElsewhere(error) || !isSwarmError(error)) throw error;
    if (error.code === 'ERR_EXECUTION') {
      call.executionFailures += 1;
      if (call.executionFailures >= MAX_EXECUTION_FAILURES) throw error;
    }
    call.tried.add(node);
    call.failed.push({ node, code: error.code, message: error.message });
    call.lastError = error;
  }

  /** Every known node was tried, or none is known: ask the peers around, wait where that may help, else give up. */
  async #nextRound(call: Call): Promise<void> {
    const { clock, tried, model } = call;
    await this.#resolver.refresh(call.ref, clock.signal);
    if (this.#candidates(model.cid).some(({ node }) => !tried.has(node))) return;
    const holders = this.#peer.view.holders(model.cid, Date.now()).length;
    if (tried.size === 0 && holders === 0) throw this.#nobody(call);
    const toldMs = retryAfterMs(call.lastError);
    if (toldMs === undefined && holders === 0) throw this.#nobody(call);
    if (toldMs === undefined && tried.size > 0 && clock.elapsedMs() > UNREACHABLE_MS) {
      throw this.#nobody(call);
    }
    call.rounds += 1;
    const waitMs = toldMs ?? Math.min(MAX_RETRY_PAUSE_MS, RETRY_PAUSE_MS * call.rounds);
    if (waitMs >= clock.remainingMs()) throw this.#nobody(call);
    await clock.sleep(waitMs);
    tried.clear();
  }

  #nobody(call: Call): unknown {
    if (call.lastError !== undefined) return call.lastError;
    const { cid } = call.model;
    const loading = this.#peer.view.holders(cid, Date.now()).length;
    const what = formatModelRef(call.ref);
    return new NoNodeError(
      loading > 0
        ? `no node is READY for ${what} (version ${cid}): ${loading} still load it`
        : `no node serves ${what} (version ${cid})`,
      { details: { version: cid, loading } },
    );
  }

  #candidates(cid: VersionCid): LinkedCandidate[] {
    return this.#peer.view.ready(cid, Date.now()).map(({ node, version, heardAtMs }) => {
      const { node: id, owner } = node.announcement;
      const link = this.#linkTo(id);
      const { load, sentSince } = link.loadOf(cid, version.load, heardAtMs);
      return {
        node: id,
        owner,
        link,
        load,
        sentSinceReport: sentSince,
        roundTripMs: link.roundTripMs,
        bytesPerMs: link.bytesPerMs,
        coolingUntilMs: link.coolingUntilMs,
      };
    });
  }

  #linkTo(node: NodeId): NodeLink {
    let link = this.#links.get(node);
    if (link === undefined) {
      link = new NodeLink(node, this.#peer);
      this.#links.set(node, link);
    }
    return link;
  }
}

function namedTensors(inputs: Readonly<Record<string, Tensor>>): NamedTensor[] {
  return Object.entries(inputs).map(([name, tensor]) => {
    if (!(tensor instanceof Tensor)) {
      throw new InvalidInputError(
        `input '${name}' is not a Tensor, make one with Tensor.from(datatype, shape, data)`,
      );
    }
    return { name, tensor };
  });
}

function result(call: Call, choice: LinkedCandidate, response: InferenceResponse): InferResult {
  const outputs: Record<string, Tensor> = Object.create(null);
  for (const { name, tensor } of response.outputs) outputs[name] = tensor;
  return {
    outputs,
    version: call.model.cid,
    sequence: call.model.sequence,
    node: choice.node,
    owner: choice.owner,
    latencyMs: call.clock.elapsedMs(),
    queueMs: response.queueMs,
    executeMs: response.executeMs,
    failedAttempts: call.failed,
  };
}

/** When the nodes said to come back; undefined when the failure was not about being busy. */
function retryAfterMs(error: unknown): number | undefined {
  if (error instanceof BusyError) return Math.max(RETRY_PAUSE_MS, error.retryAfterMs);
  if (isSwarmError(error) && error.code === 'ERR_LOADING') {
    const { etaMs } = error.details;
    return typeof etaMs === 'number' ? Math.min(Math.max(RETRY_PAUSE_MS, etaMs), 1_000) : 250;
  }
  return undefined;
}
