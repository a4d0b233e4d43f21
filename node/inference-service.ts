import {
  BusyError,
  ForbiddenError,
  isSwarmError,
  LimitError,
  LoadingError,
  NotFoundError,
} from '../protocols/errors.ts';
import type {
  Admission,
  Cancellation,
  ExecutionResult,
  InferenceHandler,
  RequestHeader,
} from '../protocols/inference/index.ts';
import { checkInputs, checkOutputNames } from '../protocols/input-check.ts';
import { elementCount, type NamedTensor } from '../protocols/tensor.ts';
import type { LoadReport, VersionCid } from '../protocols/types.ts';
import type { DemandMeter } from '../src/policy/scaling/demand-meter.ts';
import { outcomeOfError, type RequestOutcome } from '../src/swarm/outcome-tally.ts';
import type { SpanSink } from '../src/swarm/span.ts';
import { type AllowList, allows } from './node-init.ts';
import type { RequestListener } from './metrics/request-listener.ts';
import type { ReceiptDesk } from './receipt-desk.ts';
import type { Replica } from './replica/replica.ts';
import { RequestSpan } from './request-span.ts';

/** Milliseconds after which a paused node may be asked again: an owner's pause is long, and others are there. */
const PAUSED_RETRY_MS = 10_000;

export interface InferenceServiceInit {
  readonly allowCallers: AllowList;
  readonly maxRequestBytes: number;
}

export interface InferenceServiceComponents {
  readonly replicas: {
    get(cid: VersionCid): Replica | undefined;
    /** Has a cold version loaded; returns what to tell whoever asked for it. */
    wake(cid: VersionCid): Error;
  };
  /** Sequence of the newest release record this node knows for a model; 0 when none. */
  readonly sequenceOf: (replica: Replica) => number;
  /** Told how each request ended that says something of its version. */
  readonly countOutcome: (replica: Replica, outcome: RequestOutcome, caller: string) => void;
  /** Hears how each request ended; undefined where nobody wants to know. */
  readonly requests?: RequestListener | undefined;
  /** Counts what a version is asked for; undefined where nobody wants to know. */
  readonly demand?: ((cid: VersionCid) => DemandMeter) | undefined;
  /** Signs the receipts that callers ask for; undefined where this node gives none. */
  readonly receipts?: ReceiptDesk | undefined;
  /** Takes the requests' lives on this node; undefined where nobody wants them. */
  readonly spans?: SpanSink | undefined;
}

/** A request that was admitted. */
interface AdmittedRequest {
  readonly replica: Replica;
  readonly header: RequestHeader;
  readonly caller: string;
  /** When the caller gives up, on the clock of `performance`. */
  readonly deadlineAtMs: number;
}

/** Answers requests from the replicas of this node; refuses what it can from the header alone, before any body. */
export class InferenceService implements InferenceHandler {
  readonly #components: InferenceServiceComponents;
  readonly #init: InferenceServiceInit;
  #draining = false;
  /** Why the node takes no requests for now; undefined when it does. */
  #paused: string | undefined;

  constructor(components: InferenceServiceComponents, init: InferenceServiceInit) {
    this.#components = components;
    this.#init = init;
  }

  /** From now on every new request is refused as busy; those admitted go on. */
  drain(): void {
    this.#draining = true;
  }

  /** Refuses new requests as busy, for a reason, until it is told `undefined`; those admitted go on. */
  pause(reason: string | undefined): void {
    this.#paused = reason;
  }

  /**
   * Admits a request by its header.
   *
   * @throws {ERR_FORBIDDEN | ERR_BUSY | ERR_NOT_FOUND | ERR_LOADING | ERR_LIMIT | ERR_INVALID_INPUT} to refuse it.
   */
  admit(
    header: RequestHeader,
    context: { readonly caller: string; readonly bodyBytes: number },
  ): Admission {
    try {
      if (!allows(this.#init.allowCallers, context.caller)) {
        throw new ForbiddenError(`this node does not answer caller ${context.caller}`);
      }
      return this.#admit(header, context);
    } catch (error) {
      this.#countRefusal(header, error);
      throw error;
    }
  }

  load(version?: VersionCid): LoadReport {
    const queue = version === undefined ? undefined : this.#components.replicas.get(version)?.queue;
    return queue?.momentaryLoad() ?? { inFlight: 0, queued: 0, slots: 1, serviceMs: null };
  }

  #admit(
    header: RequestHeader,
    context: { readonly caller: string; readonly bodyBytes: number },
  ): Admission {
    if (this.#draining)
      throw new BusyError('this node is draining and takes no new requests', 1_000);
    if (this.#paused !== undefined) {
      throw new BusyError(`this node is paused: ${this.#paused}`, PAUSED_RETRY_MS);
    }
    const { receipts } = this.#components;
    if (header.receiptNonce !== undefined && receipts === undefined) {
      throw new ForbiddenError('this node signs no receipts');
    }
    const replica = this.#ready(header.version);
    const { model, queue } = replica;
    if (model === undefined || queue === undefined) {
      throw new LoadingError(`version ${header.version} is still loading`, null);
    }
    if (context.bodyBytes > this.#init.maxRequestBytes) {
      throw new LimitError(
        `request has ${context.bodyBytes} bytes of tensors, this node takes at most ${this.#init.maxRequestBytes}`,
      );
    }
    checkInputs(model.inputs, header.inputs);
    checkOutputNames(model.outputs, header.outputs);
    const { deadlineMs } = header;
    queue.admit(deadlineMs, elementsOf(header), context.bodyBytes, context.caller);
    replica.expect(deadlineMs);
    // From the header on: the time a body takes on its way is the caller's time too.
    const deadlineAtMs = performance.now() + deadlineMs;
    const { caller } = context;
    const request: AdmittedRequest = { replica, header, caller, deadlineAtMs };
    const execute: Admission['execute'] = (inputs, cancellation) =>
      this.#execute(request, inputs, cancellation);
    const desk = receipts?.open(header, { caller, provider: model.provider });
    if (desk === undefined) return { execute };
    return { execute: (inputs, cancellation) => desk(inputs, execute(inputs, cancellation)) };
  }

  /** A request that another node has counted is no further demand, and what is not held here nobody can want here. */
  #countRefusal({ version, again = false }: RequestHeader, error: unknown): void {
    const replica = this.#components.replicas.get(version);
    this.#components.requests?.failed(replica?.origin, error);
    if (again || !isSwarmError(error) || replica === undefined) return;
    const meter = this.#components.demand?.(version);
    if (error.code === 'ERR_LOADING') meter?.missed(performance.now());
    else if (error.code === 'ERR_BUSY') meter?.refused(performance.now());
  }

  #ready(cid: VersionCid): Replica {
    const replica = this.#components.replicas.get(cid);
    switch (replica?.state) {
      case 'ready':
        return replica;
      case 'loading':
        throw new LoadingError(`version ${cid} is still loading`, replica.etaMs);
      case 'cold':
      case 'quarantined':
        throw this.#components.replicas.wake(cid);
      default:
        throw new NotFoundError(`this node does not hold version ${cid}`);
    }
  }

  async #execute(
    { replica, header, caller, deadlineAtMs }: AdmittedRequest,
    inputs: readonly NamedTensor[],
    cancellation: Cancellation,
  ): Promise<ExecutionResult> {
    const { countOutcome, demand, requests, sequenceOf, spans } = this.#components;
    const { queue, origin } = replica;
    if (queue === undefined) {
      const error = new LoadingError(`version ${origin.cid} is still loading`, replica.etaMs);
      requests?.failed(origin, error);
      throw error;
    }
    const { priority, outputs: wanted, again = false } = header;
    // Anybody may ask for the highest: only whom the owner has named goes before others, else only before what it sent itself.
    const unnamed = this.#init.allowCallers === 'any';
    const startedAtMs = performance.now();
    const meter = demand?.(origin.cid);
    const release = replica.acquire();
    if (!again) meter?.arrived(startedAtMs);
    const span = new RequestSpan(spans, header, replica);
    try {
      const result = await queue.submit(inputs, {
        caller,
        deadlineAtMs,
        outputs: wanted,
        cancellation,
        priority: unnamed ? 0 : priority,
        ownPriority: unnamed ? priority : 0,
      });
      const { outputs, queueMs, executeMs, together } = result;
      span.answered(result);
      requests?.answered(origin, result);
      meter?.served(queueMs, executeMs / together, performance.now());
      // The time inside the model is what the version answers for; the queue before it is this node's.
      countOutcome(replica, { kind: 'answered', latencyMs: executeMs }, caller);
      const load = queue.momentaryLoad();
      return { outputs, queueMs, executeMs, load, releaseSequence: sequenceOf(replica) };
    } catch (error) {
      span.failed(error);
      if (cancellation.cancelled) requests?.cancelled(origin);
      else requests?.failed(origin, error);
      const outcome = outcomeOfError(error, performance.now() - startedAtMs);
      if (outcome !== undefined) countOutcome(replica, outcome, caller);
      throw error;
    } finally {
      if (!again) meter?.left(performance.now());
      release();
    }
  }
}

function elementsOf({ inputs }: RequestHeader): number {
  return inputs.reduce((sum, { shape }) => sum + elementCount(shape), 0);
}
