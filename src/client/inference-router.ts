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
import type { NodeId, OwnerId, VersionCid } from '../../protocols/types.ts';
import { requestShare } from '../policy/canary.ts';
import { type Candidate, selectNode } from '../policy/routing.ts';
import { MIN_TIMEOUT_MS, outcomeOfError, type RequestOutcome } from '../swarm/outcome-tally.ts';
import type { SwarmPeer } from '../swarm/peer.ts';
import type { ReplicaView } from '../swarm/view.ts';
import { CallClock } from './call-clock.ts';
import type { ResolvedInferOptions } from './infer-options.ts';
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

/** What a call came back with. */
export interface InferResult {
  /** Outputs by name, with their real shapes. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly version: VersionCid;
  /** Sequence of the release record that named the version; 0 when the reference named it. */
  readonly sequence: number;
  /** The channel that the request went to, such as `stable` or `canary`; null when the reference named the version. */
  readonly channel: string | null;
  /** True when the channel's guard has tripped, so that the version before the channel's own answered. */
  readonly fellBack: boolean;
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
  /** Where the call stands when a canary takes a share: the same for all its attempts. */
  readonly share: number;
  model: ResolvedModel;
  readonly request: Omit<InferenceRequest, 'deadlineMs' | 'version'>;
  readonly bodyBytes: number;
  readonly clock: CallClock;
  readonly tried: Set<NodeId>;
  readonly failed: FailedAttempt[];
  lastError: unknown;
  executionFailures: number;
  rounds: number;
  /** When the last attempt began, on the clock of `performance`. */
  attemptAtMs: number;
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
    options: ResolvedInferOptions,
  ): Promise<InferResult> {
    const tensors = namedTensors(inputs);
    const share = requestShare(`${ref.publisher}/${ref.name}`, options.key, Math.random);
    const bodyBytes = tensors.reduce((total, { tensor }) => total + tensor.bytes.byteLength, 0);
    if (bodyBytes > MAX_BODY_BYTES) {
      throw new LimitError(
        `request has ${bodyBytes} bytes of tensors, expected at most ${MAX_BODY_BYTES}`,
      );
    }
    using clock = new CallClock(options.deadlineMs, options.signal);
    try {
      const model = await this.#resolver.resolve(ref, clock.signal, share);
      const request = {
        priority: options.priority,
        traceparent: options.traceparent,
        outputs: options.outputs,
        inputs: tensors,
      };
      return await this.#runCounted({
        ref,
        share,
        model,
        request,
        bodyBytes,
        clock,
        tried: new Set(),
        failed: [],
        lastError: undefined,
        executionFailures: 0,
        rounds: 0,
        attemptAtMs: Number.POSITIVE_INFINITY,
      });
    } catch (error) {
      throw clock.explain(error, formatModelRef(ref));
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.close()));
    this.#links.clear();
  }

  /**
   * Counts how the call ends for or against its version. A failure that another node makes good is that node's, not the
   * version's, so the call as a whole is counted, not each attempt.
   */
  async #runCounted(call: Call): Promise<InferResult> {
    try {
      return await this.#run(call);
    } catch (error) {
      const outcome = outcomeOfCall(call, error);
      if (outcome !== undefined) this.#peer.outcomes.count(call.model, outcome);
      throw error;
    }
  }

  async #run(call: Call): Promise<InferResult> {
    for (;;) {
      const choice = this.#select(call);
      if (choice === undefined) {
        await this.#nextRound(call);
        continue;
      }
      try {
        const { request, model, clock } = call;
        const sent = { ...request, version: model.cid, deadlineMs: clock.remainingMs() };
        call.attemptAtMs = performance.now();
        const response = await choice.link.infer(sent, call.bodyBytes, clock.signal);
        this.#answered(call, choice.node, response);
        return result(call, choice, response);
      } catch (error) {
        call.clock.signal.throwIfAborted();
        call.attemptAtMs = Number.POSITIVE_INFINITY;
        this.#attemptFailed(call, choice.node, error);
      }
    }
  }

  /** A READY node, else one that has the version on its disk and loads it when asked. */
  #select(call: Call): LinkedCandidate | undefined {
    const nowMs = Date.now();
    const { view } = this.#peer;
    const { cid } = call.model;
    const ready = this.#candidates(view.ready(cid, nowMs), cid);
    const choice = selectNode(ready, call, nowMs, Math.random);
    return (
      choice ?? selectNode(this.#candidates(view.cold(cid, nowMs), cid), call, nowMs, Math.random)
    );
  }

  #answered({ ref, model, attemptAtMs }: Call, node: NodeId, response: InferenceResponse): void {
    // The node's own figure, but never more than was waited for: it is the version that is measured, not the way to it.
    const latencyMs = Math.min(response.executeMs, performance.now() - attemptAtMs);
    this.#peer.outcomes.count(model, { kind: 'answered', latencyMs });
    const known = this.#peer.releases.cached(ref.publisher, ref.name)?.record.sequence ?? 0;
    if (model.channel !== null && response.releaseSequence > known) this.#resolver.hint(ref, node);
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
    const { clock, tried } = call;
    await this.#resolver.refresh(call.ref, call.model.cid, clock.signal);
    const model = await this.#resolver.resolve(call.ref, clock.signal, call.share);
    // The channel may have moved on while the call looked for a node: what nobody serves any more is not waited for.
    if (model.cid !== call.model.cid) tried.clear();
    call.model = model;
    if (this.#select(call) !== undefined) return;
    const holders = this.#hopeful(model.cid);
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
    const loading = this.#hopeful(cid);
    const what = formatModelRef(call.ref);
    return new NoNodeError(
      loading > 0
        ? `no node is READY for ${what} (version ${cid}): ${loading} hold it, and load it or are paused`
        : `no node serves ${what} (version ${cid})`,
      { details: { version: cid, loading } },
    );
  }

  /** Nodes that serve a version, or will. */
  #hopeful(cid: VersionCid): number {
    const holders = this.#peer.view.holders(cid, Date.now());
    return holders.filter(({ version }) => version.state !== 'quarantined').length;
  }

  #candidates(replicas: readonly ReplicaView[], cid: VersionCid): LinkedCandidate[] {
    return replicas.map(({ node, version, heardAtMs }) => {
      const { node: id, owner } = node.announcement;
      const link = this.#linkTo(id);
      link.keepMeasured();
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
    channel: call.model.channel,
    fellBack: call.model.fellBack,
    node: choice.node,
    owner: choice.owner,
    latencyMs: call.clock.elapsedMs(),
    queueMs: response.queueMs,
    executeMs: response.executeMs,
    failedAttempts: call.failed,
  };
}

/** A call that ran out of time on a node is one that the version, or its nodes, were too slow for. */
function outcomeOfCall({ clock, attemptAtMs }: Call, error: unknown): RequestOutcome | undefined {
  const onNodeMs = performance.now() - attemptAtMs;
  if (clock.expired && onNodeMs >= MIN_TIMEOUT_MS) return { kind: 'timeout' };
  return outcomeOfError(error, onNodeMs);
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
