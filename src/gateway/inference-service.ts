import { DeadlineError } from '../../protocols/errors.ts';
import { bytesOf, type NamedTensor, type Tensor } from '../../protocols/tensor.ts';
import type { InferResult } from '../client/infer-result.ts';
import { type Caller, checkMayUse } from './api-keys.ts';
import { classify } from './classification.ts';
import type { ApiProtocol, GatewayMetrics } from './gateway-metrics.ts';
import { type InferRequest, nodePriority, type WantedOutput } from './infer-request.ts';
import type { InferenceStatistics } from './inference-statistics.ts';
import type { ModelDirectory, ServedModel } from './model-directory.ts';
import { failureOf } from './refusal.ts';
import type { SwarmAccess } from './swarm-access.ts';

/** `traceparent` of version 00; any other is a stranger's text and goes no further. */
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** One request to run a model, as a protocol's server hands it in. */
export interface InferenceCall {
  readonly protocol: ApiProtocol;
  /** As the caller wrote it. */
  readonly model: string;
  /** As the caller wrote it; empty when it named none. */
  readonly version: string;
  readonly caller: Caller;
  /** W3C trace context of the caller; ignored when it is malformed. */
  readonly traceparent: string | undefined;
  /** Milliseconds the caller gives; undefined when the protocol carries none. */
  readonly deadlineMs?: number | undefined;
  /** Aborts when the caller goes away. */
  readonly signal: AbortSignal;
  /** Reads the request once its model is known. */
  parse(model: ServedModel): InferRequest;
}

export interface AnsweredOutput extends NamedTensor {
  readonly binary: boolean;
}

/** What a call is answered with. */
export interface Answer {
  readonly model: Pick<ServedModel, 'asked' | 'version'>;
  readonly id: string | undefined;
  readonly outputs: readonly AnsweredOutput[];
  /** Who answered, flat: finite numbers, text and booleans. */
  readonly parameters: Readonly<Record<string, string | number | boolean>>;
}

export interface InferenceServiceComponents {
  readonly access: SwarmAccess;
  readonly directory: ModelDirectory;
  readonly statistics: InferenceStatistics;
  readonly metrics: GatewayMetrics;
  /** Milliseconds a call may take at most. */
  readonly deadlineMs: number;
}

/** Runs what the protocols' servers were asked for, and counts what comes of it. */
export class InferenceService {
  readonly #components: InferenceServiceComponents;
  #inFlight = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(components: InferenceServiceComponents) {
    this.#components = components;
  }

  /** Resolves when no call is in flight. */
  async idle(): Promise<void> {
    if (this.#inFlight === 0) return;
    this.#idle ??= Promise.withResolvers<void>();
    await this.#idle.promise;
  }

  /** @throws whatever {@link failureOf} tells callers of. */
  async infer(call: InferenceCall): Promise<Answer> {
    const { metrics, statistics } = this.#components;
    const startedMs = performance.now();
    let model: ServedModel | undefined;
    this.#inFlight += 1;
    metrics.begin();
    try {
      model = await this.#find(call);
      const request = call.parse(model);
      const result = await this.#run(call, model, request, startedMs);
      const answer = answerOf(model, request, result);
      const latencyMs = performance.now() - startedMs;
      const { queueMs, executeMs, failedAttempts } = result;
      statistics.answered(model, { rows: rowsOf(request.inputs), latencyMs, queueMs, executeMs });
      metrics.answered({
        protocol: call.protocol,
        model: model.name,
        latencyMs,
        queueMs,
        executeMs,
        requestBytes: bytesOf(Object.values(request.inputs).map((tensor) => ({ tensor }))),
        responseBytes: bytesOf(answer.outputs),
        failedAttempts: failedAttempts.length,
      });
      return answer;
    } catch (error) {
      if (model !== undefined) statistics.failed(model, performance.now() - startedMs);
      metrics.failed(call.protocol, model?.name, failureOf(error).kind);
      throw error;
    } finally {
      this.#inFlight -= 1;
      if (this.#inFlight === 0) this.#idle?.resolve();
      if (this.#inFlight === 0) this.#idle = undefined;
    }
  }

  async #find({ model, version, caller, signal }: InferenceCall): Promise<ServedModel> {
    const found = await this.#components.directory.find(model, version, { signal });
    checkMayUse(caller, found.name);
    return found;
  }

  async #run(
    { caller, signal, traceparent, deadlineMs }: InferenceCall,
    model: ServedModel,
    { inputs, outputs, schedule }: InferRequest,
    startedMs: number,
  ): Promise<InferResult> {
    const given = Math.min(
      this.#components.deadlineMs,
      schedule.timeoutMs ?? Number.POSITIVE_INFINITY,
      deadlineMs ?? Number.POSITIVE_INFINITY,
    );
    const leftMs = given - (performance.now() - startedMs);
    if (leftMs <= 0) {
      throw new DeadlineError(`${model.asked}: no answer within ${given} ms`, 'resolve');
    }
    return this.#components.access.client.infer(model.ref, inputs, {
      deadlineMs: leftMs,
      priority: nodePriority(schedule, caller.highestPriority) || caller.defaultPriority,
      outputs: outputs.map(({ name }) => name),
      traceparent: TRACEPARENT.test(traceparent ?? '') ? traceparent : undefined,
      signal,
    });
  }
}

function answerOf(model: ServedModel, request: InferRequest, result: InferResult): Answer {
  const { manifest } = model;
  const wanted: readonly WantedOutput[] =
    request.outputs.length > 0
      ? request.outputs
      : Object.keys(result.outputs).map((name) => ({
          ...{ name, binary: request.binaryOutputs, classes: 0 },
        }));
  return {
    // A canary may have answered: its version, not the one that was looked up.
    model: {
      asked: model.asked,
      version: model.pinned ? model.version : String(result.sequence),
    },
    id: request.id,
    outputs: wanted.flatMap(({ name, binary, classes }) => {
      const tensor = result.outputs[name];
      if (tensor === undefined) return [];
      if (classes === 0) return [{ name, tensor, binary }];
      const labelled = manifest.answer?.kind === 'argmax' && manifest.answer.output === name;
      const labels = labelled ? manifest.classLabels : undefined;
      return [{ name, tensor: classify(name, tensor, classes, labels), binary }];
    }),
    parameters: {
      version: result.version,
      ...(result.channel === null ? {} : { channel: result.channel }),
      ...(result.fellBack ? { fell_back: true } : {}),
      node: result.node,
    },
  };
}

/** Requests of no batch count one. */
function rowsOf(inputs: Readonly<Record<string, Tensor>>): number {
  const [first] = Object.values(inputs);
  return first?.shape[0] ?? 1;
}
