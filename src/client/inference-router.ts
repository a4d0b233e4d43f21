import { LimitError } from '../../protocols/errors.ts';
import { MAX_BODY_BYTES } from '../../protocols/limits.ts';
import { formatModelRef, type ModelRef } from '../../protocols/reference.ts';
import { bytesOf, elementsOf, type NamedTensor } from '../../protocols/tensor.ts';
import type { OwnerId } from '../../protocols/types.ts';
import { CallBudget, HEDGE_BUDGET, RETRY_BUDGET } from '../policy/call-budget.ts';
import { requestShare } from '../policy/canary.ts';
import { HedgeTimes } from '../policy/hedge.ts';
import { type Avoided, bothAvoided, NOBODY, type NodeSelector } from '../policy/routing.ts';
import type { SwarmPeer } from '../swarm/peer.ts';
import type { CallClock } from './call-clock.ts';
import type { CallInputs } from './call-inputs.ts';
import type { ResolvedInferOptions } from './infer-options.ts';
import type { InferResult } from './infer-result.ts';
import { NodeChooser } from './node-chooser.ts';
import { NodeDirectory } from './node-directory.ts';
import { explainRoute, type RouteExplanation } from './route-explanation.ts';
import {
  type CallComponents,
  type CallInit,
  type CallResolver,
  RoutedCall,
} from './routed-call.ts';

export interface RouterInit {
  /** Chooses among the nodes instead of the built-in policy. */
  readonly selector?: NodeSelector | undefined;
  /** Whom no call goes to, as known now. @default nobody */
  readonly distrusted?: (() => Avoided) | undefined;
}

/** What a caller inside the client asks for besides. */
export interface RouteOptions extends ResolvedInferOptions {
  /** Nodes, and nodes of owners, that must not be asked. @default none */
  readonly avoid?: Avoided | undefined;
  /** False to give up once every node was asked, rather than to wait for one to have room. @default true */
  readonly patient?: boolean | undefined;
  /** Hears whose node each request goes to. @default nobody */
  readonly onSent?: ((owner: OwnerId) => void) | undefined;
}

/** Sends each call to the node that should answer it first, and to another when that one does not. */
export class InferenceRouter {
  readonly #components: CallComponents;
  readonly #distrusted: () => Avoided;

  constructor(peer: SwarmPeer, resolver: CallResolver, init: RouterInit = {}) {
    this.#distrusted = init.distrusted ?? (() => NOBODY);
    this.#components = {
      peer,
      resolver,
      directory: new NodeDirectory(peer),
      chooser: new NodeChooser(init.selector),
      retries: new CallBudget(RETRY_BUDGET),
      hedges: new CallBudget(HEDGE_BUDGET),
      hedgeTimes: new HedgeTimes(),
    };
  }

  /** See `SwarmClient.infer`. The clock is the router's from here on: it stops with the call. */
  async infer(
    ref: ModelRef,
    inputs: CallInputs,
    options: RouteOptions,
    callClock: CallClock,
  ): Promise<InferResult> {
    using clock = callClock;
    try {
      const call = await this.#begin(ref, inputs, options, clock);
      return await new RoutedCall(call, this.#components).run();
    } catch (error) {
      throw clock.explain(error, formatModelRef(ref));
    }
  }

  /** See `SwarmClient.explain`. The clock is the router's, as that of {@link infer} is. */
  async explain(
    ref: ModelRef,
    inputs: CallInputs,
    options: RouteOptions,
    callClock: CallClock,
  ): Promise<RouteExplanation> {
    using clock = callClock;
    try {
      return await explainRoute(await this.#begin(ref, inputs, options, clock), this.#components);
    } catch (error) {
      throw clock.explain(error, formatModelRef(ref));
    }
  }

  async close(): Promise<void> {
    await this.#components.directory.close();
  }

  /** Makes definite which version a call goes to, and with which tensors. */
  async #begin(
    ref: ModelRef,
    inputs: CallInputs,
    options: RouteOptions,
    clock: CallClock,
  ): Promise<CallInit> {
    clock.signal.throwIfAborted();
    checkBody(sizeOf(inputs.tensors ?? []));
    const { priority, traceparent, tracestate, outputs } = options;
    const { prefer, affinity, progress, receipt } = options;
    const share = requestShare(`${ref.publisher}/${ref.name}`, options.key, Math.random);
    progress?.report({ kind: 'resolving' });
    const model = await this.#components.resolver.resolve(ref, clock.signal, share);
    progress?.report({ kind: 'resolved', version: model.cid, channel: model.channel });
    const tensors = inputs.tensors ?? (await inputs.resolve(model.cid, clock.signal));
    return {
      ref,
      share,
      model,
      request: { priority, traceparent, tracestate, outputs, inputs: tensors },
      ...checkBody(sizeOf(tensors)),
      prefer,
      affinity,
      avoid: bothAvoided(this.#distrusted(), options.avoid ?? NOBODY),
      receipt,
      patient: options.patient ?? true,
      onSent: options.onSent,
      progress,
      clock,
    };
  }
}

interface RequestSize {
  readonly bodyBytes: number;
  readonly elements: number;
}

function checkBody(size: RequestSize): RequestSize {
  if (size.bodyBytes <= MAX_BODY_BYTES) return size;
  throw new LimitError(
    `request has ${size.bodyBytes} bytes of tensors, expected at most ${MAX_BODY_BYTES}`,
  );
}

function sizeOf(tensors: readonly NamedTensor[]): RequestSize {
  return { bodyBytes: bytesOf(tensors), elements: elementsOf(tensors) };
}
