import { DeadlineError } from '../../protocols/errors.ts';
import { bytesOf, type NamedTensor, type Tensor } from '../../protocols/tensor.ts';
import {
  formatTraceparent,
  parseTrace,
  type TraceContext,
  type TraceHeaders,
} from '../../protocols/trace-context.ts';
import type { InferResult } from '../client/infer-result.ts';
import { OpenSpan, type SpanAttributes, type SpanSink } from '../swarm/span.ts';
import { type Caller, checkMayUse } from './access/api-keys.ts';
import { classify } from './classification.ts';
import { type InferRequest, nodePriority, type WantedOutput } from './infer-request.ts';
import type { GatewayMetrics } from './metrics/gateway-metrics.ts';
import type { InferenceStatistics } from './metrics/inference-statistics.ts';
import type { ModelDirectory, ServedModel } from './models/model-directory.ts';
import { failureOf } from './refusal.ts';
import type { AnsweredRequest, ApiProtocol } from './request-outcome.ts';
import { cacheKey, type Outputs, type ResponseCache } from './response-cache.ts';
import type { SwarmAccess } from './swarm-access.ts';

/** One request to run a model, as a protocol's server hands it in. */
export interface InferenceCall {
  readonly protocol: ApiProtocol;
  /** As the caller wrote it. */
  readonly model: string;
  /** As the caller wrote it; empty when it named none. */
  readonly version: string;
  readonly caller: Caller;
  /** Of the HTTP request; undefined where the protocol has none. */
  readonly requestId?: string | undefined;
  /** W3C trace context of the caller; ignored when it is malformed. */
  readonly traceHeaders: TraceHeaders;
  /** Milliseconds the caller gives; undefined when the protocol carries none. */
  readonly deadlineMs?: number | undefined;
  /** Aborts when the caller goes away. */
  readonly signal: AbortSignal;
  /** Reads the request once its model is known. */
  parse(model: ServedModel): InferRequest;
}

/** A call, and where in a trace it is; undefined where nobody traces it. */
interface TracedCall extends InferenceCall {
  readonly trace: TraceContext | undefined;
}

/** A call whose model was found. */
interface FoundCall {
  readonly model: ServedModel;
  readonly request: InferRequest;
  /** Milliseconds by `performance.now`. */
  readonly startedMs: number;
}

export interface AnsweredOutput extends NamedTensor {
  readonly binary: boolean;
}

/** What an answer took. */
export interface Usage {
  /** Bytes of tensors. */
  readonly inputBytes: number;
  readonly outputBytes: number;
  /** Milliseconds on the node: in its queue, in the model; 0 where the answer was kept. */
  readonly queueMs: number;
  readonly executeMs: number;
}

/** What a call is answered with. */
export interface Answer {
  readonly model: Pick<ServedModel, 'asked' | 'version'>;
  readonly id: string | undefined;
  readonly outputs: readonly AnsweredOutput[];
  /** Who answered, flat: finite numbers, text and booleans. */
  readonly parameters: Readonly<Record<string, string | number | boolean>>;
  readonly usage: Usage;
}

/** As it comes of a node, or is kept. */
type BareAnswer = Omit<Answer, 'usage'>;

export interface InferenceServiceComponents {
  readonly access: SwarmAccess;
  readonly directory: ModelDirectory;
  readonly statistics: InferenceStatistics;
  readonly metrics: GatewayMetrics;
  /** Takes the requests' lives; undefined where nobody wants them. */
  readonly spans: SpanSink | undefined;
  /** Answers that are kept; undefined where none are. */
  readonly cache: ResponseCache | undefined;
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
    const { metrics, statistics, spans } = this.#components;
    const startedMs = performance.now();
    const parent = parseTrace(call.traceHeaders);
    const span = spans && new OpenSpan(spans, { name: 'infer', kind: 'server', parent });
    // Where it records nothing itself, the node's part is one of the caller's.
    const trace = span?.context ?? parent;
    let model: ServedModel | undefined;
    this.#inFlight += 1;
    metrics.begin();
    try {
      const { signal } = call;
      const found = await this.#components.directory.find(call.model, call.version, { signal });
      checkMayUse(call.caller, found.name);
      model = found;
      metrics.began(model);
      const request = call.parse(model);
      const { answer, node, cacheMs } = await this.#answer(
        { ...call, trace },
        { model, request, startedMs },
      );
      const outcome: AnsweredRequest = {
        protocol: call.protocol,
        ...sizeOf(request.inputs),
        latencyMs: performance.now() - startedMs,
        responseBytes: bytesOf(answer.outputs),
        node,
        cacheMs,
      };
      statistics.answered(model, outcome);
      metrics.answered(model, outcome);
      span?.end({ ...attributesOf(model, call), 'swarm.cached': node === undefined });
      return { ...answer, usage: usageOf(outcome) };
    } catch (error) {
      if (model !== undefined) statistics.failed(model, performance.now() - startedMs);
      const { kind } = failureOf(error);
      metrics.failed(call.protocol, model, kind);
      span?.end(attributesOf(model, call), kind);
      throw error;
    } finally {
      this.#inFlight -= 1;
      if (this.#inFlight === 0) this.#idle?.resolve();
      if (this.#inFlight === 0) this.#idle = undefined;
    }
  }

  /** From the cache where that keeps the model's answers and has this one, else from a node. */
  async #answer(
    call: TracedCall,
    { model, request, startedMs }: FoundCall,
  ): Promise<Pick<AnsweredRequest, 'node' | 'cacheMs'> & { readonly answer: BareAnswer }> {
    const { cache } = this.#components;
    const wanted = request.outputs.map(({ name }) => name);
    const lookMs = performance.now();
    const keeps = cache?.keeps(model) === true;
    const key = keeps ? cacheKey(model.cid, request.inputs, wanted) : '';
    const kept = keeps ? cache.get(key) : undefined;
    const cacheMs = keeps ? performance.now() - lookMs : undefined;
    if (kept !== undefined) {
      return { answer: keptAnswer(model, request, kept), node: undefined, cacheMs };
    }
    const result = await this.#run(call, { model, request, startedMs });
    // The answer of a canary is kept for whoever asks for its version.
    if (keeps) cache.set(cacheKey(result.version, request.inputs, wanted), result.outputs);
    const { queueMs, executeMs, failedAttempts } = result;
    const node = { queueMs, executeMs, failedAttempts: failedAttempts.length };
    return { answer: answerOf(model, request, result), node, cacheMs };
  }

  async #run(
    { caller, signal, trace, deadlineMs }: TracedCall,
    { model, request: { inputs, outputs, schedule }, startedMs }: FoundCall,
  ): Promise<InferResult> {
    const { access, spans } = this.#components;
    const given = Math.min(
      this.#components.deadlineMs,
      schedule.timeoutMs ?? Number.POSITIVE_INFINITY,
      deadlineMs ?? Number.POSITIVE_INFINITY,
    );
    const leftMs = given - (performance.now() - startedMs);
    if (leftMs <= 0) {
      throw new DeadlineError(`${model.asked}: no answer within ${given} ms`, 'resolve');
    }
    const route = spans && new OpenSpan(spans, { name: 'route', kind: 'client', parent: trace });
    const context = route?.context ?? trace;
    try {
      const result = await access.client.infer(model.ref, inputs, {
        deadlineMs: leftMs,
        priority: nodePriority(schedule, caller.highestPriority) || caller.defaultPriority,
        outputs: outputs.map(({ name }) => name),
        traceparent: context && formatTraceparent(context),
        tracestate: context?.state,
        signal,
      });
      const { node, failedAttempts } = result;
      route?.end({ 'swarm.node': node, 'swarm.failed_attempts': failedAttempts.length });
      return result;
    } catch (error) {
      route?.end({}, failureOf(error).kind);
      throw error;
    }
  }
}

function usageOf({ requestBytes, responseBytes, node }: AnsweredRequest): Usage {
  const { queueMs = 0, executeMs = 0 } = node ?? {};
  return { inputBytes: requestBytes, outputBytes: responseBytes, queueMs, executeMs };
}

function answerOf(model: ServedModel, request: InferRequest, result: InferResult): BareAnswer {
  return {
    // A canary may have answered: its version, not the one that was looked up.
    model: {
      asked: model.asked,
      version: model.pinned ? model.version : String(result.sequence),
    },
    id: request.id,
    outputs: outputsOf(model, request, result.outputs),
    parameters: {
      version: result.version,
      ...(result.channel === null ? {} : { channel: result.channel }),
      ...(result.fellBack ? { fell_back: true } : {}),
      node: result.node,
    },
  };
}

function keptAnswer(model: ServedModel, request: InferRequest, kept: Outputs): BareAnswer {
  return {
    model,
    id: request.id,
    outputs: outputsOf(model, request, kept),
    parameters: { version: model.cid, cached: true },
  };
}

/** The outputs that are wanted, each as it is wanted. */
function outputsOf(
  { manifest }: ServedModel,
  request: InferRequest,
  outputs: Outputs,
): AnsweredOutput[] {
  const wanted: readonly WantedOutput[] =
    request.outputs.length > 0
      ? request.outputs
      : Object.keys(outputs).map((name) => ({
          ...{ name, binary: request.binaryOutputs, classes: 0 },
        }));
  return wanted.flatMap(({ name, binary, classes }) => {
    const tensor = outputs[name];
    if (tensor === undefined) return [];
    if (classes === 0) return [{ name, tensor, binary }];
    const labelled = manifest.answer?.kind === 'argmax' && manifest.answer.output === name;
    const labels = labelled ? manifest.classLabels : undefined;
    return [{ name, tensor: classify(name, tensor, classes, labels), binary }];
  });
}

function attributesOf(
  model: ServedModel | undefined,
  { protocol, requestId }: InferenceCall,
): SpanAttributes {
  return {
    'swarm.protocol': protocol,
    ...(requestId !== undefined && { 'swarm.request_id': requestId }),
    ...(model && { 'swarm.model': model.name, 'swarm.version': model.cid }),
  };
}

/** Rows by the first input, of no batch one; and the bytes of all. */
function sizeOf(
  inputs: Readonly<Record<string, Tensor>>,
): Pick<AnsweredRequest, 'rows' | 'requestBytes'> {
  let rows: number | undefined;
  let requestBytes = 0;
  for (const name in inputs) {
    const tensor = inputs[name];
    rows ??= tensor?.shape[0] ?? 1;
    requestBytes += tensor?.bytes.byteLength ?? 0;
  }
  return { rows: rows ?? 1, requestBytes };
}
