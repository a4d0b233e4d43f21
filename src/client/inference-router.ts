import { InvalidInputError, LimitError } from '../../protocols/errors.ts';
import { MAX_BODY_BYTES } from '../../protocols/limits.ts';
import { formatModelRef, type ModelRef } from '../../protocols/reference.ts';
import { Tensor, type NamedTensor } from '../../protocols/tensor.ts';
import { CallBudget, HEDGE_BUDGET, RETRY_BUDGET } from '../policy/call-budget.ts';
import { requestShare } from '../policy/canary.ts';
import { HedgeTimes } from '../policy/hedge.ts';
import { type Avoided, NOBODY, type NodeSelector } from '../policy/routing.ts';
import type { SwarmPeer } from '../swarm/peer.ts';
import { CallClock } from './call-clock.ts';
import type { ResolvedInferOptions } from './infer-options.ts';
import type { InferResult } from './infer-result.ts';
import type { ModelResolver } from './model-resolver.ts';
import { NodeChooser } from './node-chooser.ts';
import { NodeDirectory } from './node-directory.ts';
import { type CallComponents, type CallInit, RoutedCall } from './routed-call.ts';
import { explainRoute, type RouteExplanation } from './route-explanation.ts';

export interface RouterInit {
  /** Chooses among the nodes instead of the built-in policy. */
  readonly selector?: NodeSelector | undefined;
}

/** What a caller inside the client asks for besides. */
export interface RouteOptions extends ResolvedInferOptions {
  /** Nodes, and nodes of owners, that must not be asked. @default none */
  readonly avoid?: Avoided | undefined;
}

/** Sends each call to the node that should answer it first, and to another when that one does not. */
export class InferenceRouter {
  readonly #components: CallComponents;

  constructor(peer: SwarmPeer, resolver: ModelResolver, init: RouterInit = {}) {
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

  /** See `SwarmClient.infer`. */
  async infer(
    ref: ModelRef,
    inputs: Readonly<Record<string, Tensor>>,
    options: RouteOptions,
  ): Promise<InferResult> {
    return this.#withCall(ref, inputs, options, async (call) =>
      new RoutedCall(call, this.#components).run(),
    );
  }

  /** See `SwarmClient.explain`. */
  async explain(
    ref: ModelRef,
    inputs: Readonly<Record<string, Tensor>>,
    options: RouteOptions,
  ): Promise<RouteExplanation> {
    return this.#withCall(ref, inputs, options, async (call) =>
      explainRoute(call, this.#components),
    );
  }

  async close(): Promise<void> {
    await this.#components.directory.close();
  }

  async #withCall<T>(
    ref: ModelRef,
    inputs: Readonly<Record<string, Tensor>>,
    options: RouteOptions,
    use: (call: CallInit) => Promise<T>,
  ): Promise<T> {
    const tensors = namedTensors(inputs);
    const share = requestShare(`${ref.publisher}/${ref.name}`, options.key, Math.random);
    const { priority, traceparent, outputs, prefer, affinity, avoid = NOBODY } = options;
    using clock = new CallClock(options.deadlineMs, options.signal);
    try {
      const model = await this.#components.resolver.resolve(ref, clock.signal, share);
      return await use({
        ref,
        share,
        model,
        request: { priority, traceparent, outputs, inputs: tensors },
        ...sizeOf(tensors),
        prefer,
        affinity,
        avoid,
        clock,
      });
    } catch (error) {
      throw clock.explain(error, formatModelRef(ref));
    }
  }
}

function namedTensors(inputs: Readonly<Record<string, Tensor>>): NamedTensor[] {
  const tensors = Object.entries(inputs).map(([name, tensor]) => {
    if (!(tensor instanceof Tensor)) {
      throw new InvalidInputError(
        `input '${name}' is not a Tensor, make one with Tensor.from(datatype, shape, data)`,
      );
    }
    return { name, tensor };
  });
  const { bodyBytes } = sizeOf(tensors);
  if (bodyBytes > MAX_BODY_BYTES) {
    throw new LimitError(
      `request has ${bodyBytes} bytes of tensors, expected at most ${MAX_BODY_BYTES}`,
    );
  }
  return tensors;
}

function sizeOf(tensors: readonly NamedTensor[]): {
  readonly bodyBytes: number;
  readonly elements: number;
} {
  let bodyBytes = 0;
  let elements = 0;
  for (const { tensor } of tensors) {
    bodyBytes += tensor.bytes.byteLength;
    elements += tensor.size;
  }
  return { bodyBytes, elements };
}
