import type { Manifest } from '../../protocols/manifest/index.ts';
import type { ModelRef } from '../../protocols/reference.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import type { InferInputs } from './call-inputs.ts';
import type { SwarmClient } from './client.ts';
import type { InferOptions } from './infer-options.ts';
import type { InferResult } from './infer-result.ts';
import type { InferenceCall } from './inference-call.ts';
import type { ResolvedModel } from './model-resolver.ts';
import type { RouteExplanation } from './route-explanation.ts';

/** A reference made definite, and what the version says of itself. */
export interface DescribedModel extends ResolvedModel {
  /** Inputs, outputs, metadata, preprocessing and files of the version. */
  readonly manifest: Manifest;
}

/** One model of the swarm, by its reference: what it means is asked anew with each call, so that it follows its channel. */
export class RemoteModel {
  readonly ref: ModelRef;
  readonly #client: SwarmClient;

  constructor(client: SwarmClient, ref: ModelRef) {
    this.#client = client;
    this.ref = ref;
  }

  /** Runs the model. @throws as `SwarmClient.infer` */
  infer(inputs: InferInputs, options?: InferOptions): InferenceCall {
    return this.#client.infer(this.ref, inputs, options);
  }

  /** Runs the model on several requests joined along their first axis. @throws as `SwarmClient.inferBatch` */
  inferBatch(
    requests: readonly InferInputs[],
    options?: InferOptions,
  ): InferenceCall<readonly InferResult[], InferResult> {
    return this.#client.inferBatch(this.ref, requests, options);
  }

  /** Which node {@link infer} would ask now, and why not the others. @throws as `SwarmClient.explain` */
  async explain(inputs: InferInputs, options?: InferOptions): Promise<RouteExplanation> {
    return this.#client.explain(this.ref, inputs, options);
  }

  /**
   * Whether a node has the model's version in memory now: false where the nodes that hold it would have to load it first.
   *
   * @throws {ERR_NOT_FOUND} when the model or channel is unknown.
   */
  async ready(options?: AbortOptions): Promise<boolean> {
    const { cid } = await this.#client.resolve(this.ref, options);
    return this.#client.ready(cid).length > 0;
  }

  /**
   * Which version the reference means now, and its manifest: inputs, outputs, metadata.
   *
   * @throws {ERR_NOT_FOUND | ERR_NO_NODE} when the model is unknown or nobody who holds it can be reached.
   */
  async metadata(options?: AbortOptions): Promise<DescribedModel> {
    return this.#client.describe(this.ref, options);
  }
}
