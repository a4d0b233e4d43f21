import { generateKeyPair } from '@libp2p/crypto/keys';
import { NotFoundError } from '../../protocols/errors.ts';
import type { Manifest } from '../../protocols/manifest/index.ts';
import { type ModelRef, parseModelRef } from '../../protocols/reference.ts';
import { createMemorySequenceStore } from '../../protocols/release/index.ts';
import type { Tensor } from '../../protocols/tensor.ts';
import type { AbortOptions, NodeId, VersionCid } from '../../protocols/types.ts';
import { SwarmPeer } from '../swarm/peer.ts';
import type { NodeView, ReplicaView } from '../swarm/view.ts';
import { type CatalogResult, type CatalogSearch, searchCatalog } from './catalog-search.ts';
import { resolveClientInit, type ResolvedClientInit, type SwarmClientInit } from './client-init.ts';
import { type InferOptions, resolveInferOptions } from './infer-options.ts';
import { InferenceRouter } from './inference-router.ts';
import type { InferResult } from './infer-result.ts';
import { ManifestReader } from './manifest-reader.ts';
import { ModelResolver, type ResolvedModel } from './model-resolver.ts';
import { findReleaseStatus, type ReleaseStatus } from './release-status.ts';
import type { RouteExplanation } from './route-explanation.ts';

/** A client of the swarm: finds a model's version, picks a node, sends tensors, retries elsewhere. */
export class SwarmClient implements AsyncDisposable {
  readonly #init: ResolvedClientInit;
  readonly #peer: SwarmPeer;
  readonly #resolver: ModelResolver;
  readonly #router: InferenceRouter;
  readonly #manifests: ManifestReader;

  constructor(peer: SwarmPeer, init: ResolvedClientInit) {
    this.#init = init;
    this.#peer = peer;
    this.#resolver = new ModelResolver(peer, { joinGossip: init.mode === 'full' });
    this.#router = new InferenceRouter(peer, this.#resolver, { selector: init.selector });
    this.#manifests = new ManifestReader(peer);
  }

  /** The client's own peer id, which nodes see as the caller. */
  get id(): NodeId {
    return this.#peer.id;
  }

  /**
   * Runs a model on one node of the swarm and resolves with its outputs.
   *
   * `inputs` are keyed by the model's input names; a model's shapes stand in {@link manifest}. Nodes that are busy, dead or
   * silent are replaced by others within the deadline. The tensors must not be written to until the call settles.
   *
   * @throws {ERR_INVALID_INPUT} when the reference or a tensor is wrong: the message says what was expected and found.
   * @throws {ERR_NOT_FOUND} when the model, channel or version is unknown.
   * @throws {ERR_NO_NODE} when no node serves the version now.
   * @throws {ERR_BUSY | ERR_LOADING} when every node refused until the deadline.
   * @throws {ERR_DEADLINE} when time ran out; `phase` says where. {AbortError} when `signal` aborted.
   * @throws {ERR_EXECUTION | ERR_LIMIT | ERR_FORBIDDEN | ERR_CONNECTION} as docs/errors.md says.
   */
  async infer(
    ref: string | ModelRef,
    inputs: Readonly<Record<string, Tensor>>,
    options: InferOptions = {},
  ): Promise<InferResult> {
    return this.#router.infer(toRef(ref), inputs, resolveInferOptions(options, this.#init));
  }

  /**
   * Which node {@link infer} would ask now with the same arguments, what it expects of each, and why it would not ask the
   * others. Sends nothing but probes of their load.
   *
   * @throws {ERR_INVALID_INPUT | ERR_NOT_FOUND | ERR_DEADLINE} as `infer` does; {AbortError} when `signal` aborted.
   */
  async explain(
    ref: string | ModelRef,
    inputs: Readonly<Record<string, Tensor>>,
    options: InferOptions = {},
  ): Promise<RouteExplanation> {
    return this.#router.explain(toRef(ref), inputs, resolveInferOptions(options, this.#init));
  }

  /**
   * Which version a reference means now, to a request that a canary takes no share of.
   *
   * @throws {ERR_NOT_FOUND} when the model or channel is unknown.
   */
  async resolve(ref: string | ModelRef, options: AbortOptions = {}): Promise<ResolvedModel> {
    return this.#resolver.resolve(toRef(ref), this.#signal(options));
  }

  /**
   * The version's manifest, fetched from a node that holds it and checked against its CID.
   *
   * @throws {ERR_NOT_FOUND | ERR_NO_NODE} when the model is unknown or nobody who holds it can be reached.
   */
  async manifest(ref: string | ModelRef, options: AbortOptions = {}): Promise<Manifest> {
    const signal = this.#signal(options);
    const model = toRef(ref);
    const { cid } = await this.#resolver.resolve(model, signal);
    if (this.#peer.view.holders(cid, Date.now()).length === 0) {
      // What was resolved a moment ago may be on nodes that were heard of since.
      await this.#resolver.refresh(model, cid, signal);
    }
    return this.#manifests.read(cid, signal);
  }

  /**
   * Where a model's channels point, and how its guarded versions fare: which guards have tripped, why, and on what counts.
   *
   * @throws {ERR_NOT_FOUND} when the model is unknown.
   */
  async releaseStatus(ref: string | ModelRef, options: AbortOptions = {}): Promise<ReleaseStatus> {
    return findReleaseStatus(this.#peer, toRef(ref), this.#signal(options));
  }

  /**
   * The released models that peers know of and that match, with what their manifests say of them.
   *
   * A bounded sample of a swarm with very many: `incomplete` says when a narrower search would find more.
   *
   * @throws {ERR_LIMIT} when the search is longer than a query may be.
   */
  async searchModels(
    search: CatalogSearch = {},
    options: AbortOptions = {},
  ): Promise<CatalogResult> {
    return searchCatalog(this.#peer, this.#manifests, search, this.#signal(options));
  }

  /** The nodes known to this client's peers, each with what it announced of itself. */
  async nodes(options: AbortOptions = {}): Promise<NodeView[]> {
    await this.#peer.survey({ kind: 'nodes' }, { signal: this.#signal(options) });
    return this.#peer.view.nodes(Date.now());
  }

  /** Every replica known: which version, on which node, in which state. */
  async replicas(options: AbortOptions = {}): Promise<ReplicaView[]> {
    await this.#peer.survey({ kind: 'nodes' }, { signal: this.#signal(options) });
    return this.#peer.view.replicas(Date.now());
  }

  /** The replicas of one version that are READY. */
  ready(cid: VersionCid): ReplicaView[] {
    return this.#peer.view.ready(cid, Date.now());
  }

  async close(): Promise<void> {
    await this.#router.close();
    await this.#manifests.close();
    await this.#peer.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #signal(options: AbortOptions): AbortSignal {
    const deadline = AbortSignal.timeout(this.#init.deadlineMs);
    return options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline]);
  }
}

/**
 * Joins the swarm and resolves once a first peer is connected. Close it, or declare it with `await using`.
 *
 * @throws {ERR_CONFIG} when a setting is wrong.
 * @throws {ERR_CONNECTION} when no peer answers within `joinTimeoutMs`.
 */
export async function createClient(init: SwarmClientInit): Promise<SwarmClient> {
  const resolved = resolveClientInit(init);
  const peer = await SwarmPeer.start({
    network: resolved.network,
    privateKey: resolved.privateKey ?? (await generateKeyPair('Ed25519')),
    dhtMode: 'client',
    bootstrap: resolved.bootstrap,
    mdns: resolved.mdns,
    sequences: createMemorySequenceStore(),
  });
  try {
    await peer.connected(AbortSignal.timeout(resolved.joinTimeoutMs));
  } catch (error) {
    await peer.stop();
    throw error;
  }
  return new SwarmClient(peer, resolved);
}

function toRef(ref: string | ModelRef): ModelRef {
  if (typeof ref === 'string') return parseModelRef(ref);
  if (ref === null || typeof ref !== 'object') throw new NotFoundError('no model reference given');
  return ref;
}
