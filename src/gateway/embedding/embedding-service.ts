import {
  EMBEDDING_TASK,
  type ResolvedEmbedding,
  resolveDeployment,
  resolveEmbedding,
} from '../../../protocols/manifest/index.ts';
import type { TraceHeaders } from '../../../protocols/trace-context.ts';
import { CallClock } from '../../client/call-clock.ts';
import { raced } from '../../swarm/raced.ts';
import { type Caller, checkMayUse } from '../access/api-keys.ts';
import type { InferenceService } from '../inference-service.ts';
import type { ModelDirectory, ServedModel } from '../models/model-directory.ts';
import { shown } from '../models/shown-name.ts';
import { GatewayRefusal } from '../refusal.ts';
import type { SwarmAccess } from '../swarm-access.ts';
import type { EmbeddingRequest } from './embedding-request.ts';
import { cutVector, poolVectors } from './pooling.ts';
import { fixedTokens, planTokenBatches, type TokenBatch } from './token-batches.ts';
import { Tokenizers } from './tokenizers.ts';

/** Batches of one request that are with nodes at once. */
const MAX_BATCHES_IN_FLIGHT = 4;

/** Who asks for vectors, and how. */
export interface EmbeddingCall {
  readonly request: EmbeddingRequest;
  readonly caller: Caller;
  readonly requestId: string;
  readonly traceHeaders: TraceHeaders;
  /** Aborts when the caller goes away. */
  readonly signal: AbortSignal;
}

export interface EmbeddingAnswer {
  /** A vector of each text, in their order. */
  readonly vectors: readonly Float32Array[];
  /** Tokens of all texts, those that the tokenizer added included. */
  readonly tokens: number;
}

export interface EmbeddingServiceComponents {
  readonly access: SwarmAccess;
  readonly directory: ModelDirectory;
  readonly service: InferenceService;
  /** Milliseconds that a whole request may take. */
  readonly deadlineMs: number;
}

/** A call, and the time of the whole of it. */
interface TimedCall {
  readonly call: EmbeddingCall;
  readonly clock: CallClock;
}

/** A model that makes vectors of texts. */
interface EmbeddingModel extends ServedModel {
  readonly embedding: ResolvedEmbedding;
}

/** Makes vectors of texts: tokenizes them here, runs their version's model on nodes, pools here what it gives. */
export class EmbeddingService implements AsyncDisposable {
  readonly #components: EmbeddingServiceComponents;
  readonly #tokenizers = new Tokenizers();

  constructor(components: EmbeddingServiceComponents) {
    this.#components = components;
  }

  /** @throws whatever `failureOf` tells callers of. {ERR_DEADLINE} when the whole takes longer than it may. */
  async embed(call: EmbeddingCall): Promise<EmbeddingAnswer> {
    using clock = new CallClock(this.#components.deadlineMs, call.signal);
    try {
      const { signal } = clock;
      const model = await raced(this.#find({ ...call, signal }), signal);
      const texts = await this.#tokenize(model, { ...call, signal });
      return await this.#runAll(model, texts, { call, clock });
    } catch (error) {
      throw clock.explain(error, shown(call.request.model));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tokenizers[Symbol.asyncDispose]();
  }

  async #runAll(
    model: EmbeddingModel,
    texts: readonly Int32Array[],
    { call, clock }: TimedCall,
  ): Promise<EmbeddingAnswer> {
    const { request } = call;
    const { manifest, embedding } = model;
    const size = manifest.outputs.find(({ name }) => name === embedding.output)?.shape.at(-1);
    if (typeof size === 'number') checkDimensions(request, embedding, size);
    const { maxBatch } = resolveDeployment(manifest.deployment);
    const batches = planTokenBatches(texts, { inputs: manifest.inputs, maxBatch });
    const vectors: Float32Array[] = [];
    // By the caller's signal, not the clock's: each run has the time that is left for its own, and counts as late, not as given up.
    await inTurns(batches, call, async (batch, signal) => {
      const made = await this.#run(model, batch, { call: { ...call, signal }, clock });
      batch.texts.forEach((text, row) => {
        const vector = made[row] ?? new Float32Array();
        checkDimensions(request, embedding, vector.length);
        vectors[text] = cutVector(vector, request.dimensions ?? vector.length, embedding);
      });
    });
    return { vectors, tokens: texts.reduce((sum, { length }) => sum + length, 0) };
  }

  async #find({ request, caller, signal }: EmbeddingCall): Promise<EmbeddingModel> {
    const found = await this.#components.directory.find(request.model, '', { signal });
    checkMayUse(caller, found.name);
    const { embedding, metadata } = found.manifest;
    if (embedding !== undefined && metadata.task === EMBEDDING_TASK) {
      return { ...found, embedding: resolveEmbedding(embedding) };
    }
    throw new GatewayRefusal(
      'invalid',
      `model ${shown(request.model)} makes no vectors of texts, expected one whose task is ${EMBEDDING_TASK}`,
      { param: 'model' },
    );
  }

  /** The tokens of each text, none of them too long for the model or unknown to it. */
  async #tokenize(model: EmbeddingModel, { request, signal }: EmbeddingCall) {
    const { cid, ref, embedding, manifest } = model;
    const { client } = this.#components.access;
    const version = { ...ref, selector: { kind: 'version', cid } } as const;
    const tokenizer = await this.#tokenizers.of(
      cid,
      (within) => client.readFile(version, embedding.tokenizer, { signal: within }),
      { signal },
    );
    const given = request.input;
    const texts = isTokens(given) ? given : await tokenizer.tokenize(given, { signal });
    const vocabulary = await raced(tokenizer.vocabulary(), signal);
    const limit = Math.min(embedding.maxTokens, fixedTokens(manifest.inputs) ?? Infinity);
    texts.forEach((tokens, index) => {
      const unknown = tokens.find((token) => token >= vocabulary);
      const fault =
        tokens.length > limit
          ? `has ${tokens.length} tokens, expected at most ${limit}`
          : tokens.length === 0
            ? 'has no tokens'
            : unknown === undefined
              ? undefined
              : `has the token ${unknown}, expected less than ${vocabulary}`;
      if (fault === undefined) return;
      throw new GatewayRefusal('invalid', `input[${index}] ${fault}`, { param: 'input' });
    });
    return texts;
  }

  async #run(
    { asked, cid, embedding }: EmbeddingModel,
    { inputs, lengths }: TokenBatch,
    { call, clock }: TimedCall,
  ): Promise<Float32Array[]> {
    const { caller, requestId, traceHeaders, signal } = call;
    const answer = await this.#components.service.infer({
      // The version whose tokenizer it was: a canary's may know other tokens.
      ...{ protocol: 'rest', model: asked, version: cid, caller },
      ...{ requestId, traceHeaders, signal },
      deadlineMs: clock.remainingMs(),
      parse: () => ({
        ...{ id: undefined, inputs, binaryOutputs: true },
        outputs: [{ name: embedding.output, binary: true, classes: 0 }],
        schedule: { priority: 0, timeoutMs: undefined },
      }),
    });
    const [output] = answer.outputs;
    if (output === undefined) throw new Error(`no output '${embedding.output}' was answered`);
    return poolVectors(output.tensor, lengths, embedding);
  }
}

/** @throws {GatewayRefusal} when the model, whose vectors have so many numbers, makes none of as many as are wanted. */
function checkDimensions(
  request: EmbeddingRequest,
  embedding: ResolvedEmbedding,
  size: number,
): void {
  const { dimensions = size } = request;
  const { minDimensions = size } = embedding;
  if (dimensions === size || (dimensions >= minDimensions && dimensions < size)) return;
  const expected = minDimensions < size ? `${minDimensions} to ${size}` : `${size}`;
  throw new GatewayRefusal(
    'invalid',
    `dimensions is ${dimensions}, expected ${expected}: that many numbers the vectors of the model have`,
    { param: 'dimensions' },
  );
}

function isTokens(input: EmbeddingRequest['input']): input is readonly Int32Array[] {
  return typeof input[0] !== 'string';
}

/** Runs a few at once; the first that fails, or the caller that goes, ends all. */
async function inTurns<T>(
  items: readonly T[],
  { signal }: { readonly signal: AbortSignal },
  run: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failing = new AbortController();
  const either = AbortSignal.any([signal, failing.signal]);
  const left = items.values();
  const lane = async (): Promise<void> => {
    for (const item of left) {
      either.throwIfAborted();
      await run(item, either);
    }
  };
  try {
    await Promise.all(Array.from({ length: MAX_BATCHES_IN_FLIGHT }, lane));
  } finally {
    failing.abort();
  }
}
