import { generateKeyPair } from '@libp2p/crypto/keys';
import type { Manifest } from '../../protocols/manifest/index.ts';
import { formatModelRef, type ModelRef } from '../../protocols/reference.ts';
import { createMemorySequenceStore } from '../../protocols/release/index.ts';
import type { AbortOptions, NodeId, VersionCid } from '../../protocols/types.ts';
import { resolveScalingInit, type ScalingInit } from '../policy/scaling/scaling-settings.ts';
import { FleetWatch } from '../swarm/fleet-watch.ts';
import { ManifestReader } from '../swarm/manifest-reader.ts';
import { SwarmPeer } from '../swarm/peer.ts';
import { ProvisionLease, type ProvisionLeaseInit } from '../swarm/provision-lease.ts';
import type { NodeView, ReplicaView } from '../swarm/view.ts';
import { AnswerSampler } from './answer-sampler.ts';
import { CallClock } from './call-clock.ts';
import { type CallInputs, type InferInputs, JoinedInputs, SingleInputs } from './call-inputs.ts';
import { type CatalogResult, type CatalogSearch, searchCatalog } from './catalog-search.ts';
import { type ResolvedClientInit, resolveClientInit, type SwarmClientInit } from './client-init.ts';
import type { Evidence } from './evidence.ts';
import { EvidenceBook } from './evidence-book.ts';
import { EvidenceFolder } from './evidence-folder.ts';
import { toModelRef } from './given-ref.ts';
import {
  type InferOptions,
  type ResolvedInferOptions,
  resolveInferOptions,
} from './infer-options.ts';
import { type InferResult, outputsOf, splitResult } from './infer-result.ts';
import { failedCall, InferenceCall } from './inference-call.ts';
import { InferenceRouter } from './inference-router.ts';
import { ModelDescriptions } from './model-descriptions.ts';
import { ModelResolver, type ResolvedModel } from './model-resolver.ts';
import { checkAbortOptions, OpenCalls } from './open-calls.ts';
import { findReleaseStatus, type ReleaseStatus } from './release-status.ts';
import { type DescribedModel, RemoteModel } from './remote-model.ts';
import type { RouteExplanation } from './route-explanation.ts';
import { SampledInputs } from './sampled-inputs.ts';
import { Verifier } from './verifier.ts';
import { checkReadFileOptions, type ReadFileOptions, readVersionFile } from './version-file.ts';

/** A client of the swarm: finds a model's version, picks a node, sends tensors, retries elsewhere. */
export class SwarmClient implements AsyncDisposable {
  readonly #init: ResolvedClientInit;
  readonly #peer: SwarmPeer;
  readonly #resolver: ModelResolver;
  readonly #router: InferenceRouter;
  readonly #manifests: ManifestReader;
  readonly #descriptions: ModelDescriptions;
  readonly #book: EvidenceBook;
  readonly #verifier: Verifier;
  readonly #sampler: AnswerSampler | undefined;
  readonly #calls: OpenCalls;

  /** @param book what is held against nodes, see {@link openEvidence} */
  constructor(peer: SwarmPeer, init: ResolvedClientInit, book: EvidenceBook) {
    this.#init = init;
    this.#peer = peer;
    this.#book = book;
    this.#calls = new OpenCalls(init.deadlineMs);
    this.#resolver = new ModelResolver(peer, { joinGossip: init.mode === 'full' });
    this.#router = new InferenceRouter(peer, this.#resolver, {
      selector: init.selector,
      distrusted: () => book.avoided(Date.now()),
    });
    this.#manifests = new ManifestReader(peer);
    this.#descriptions = new ModelDescriptions({
      ...{ peer, resolver: this.#resolver, manifests: this.#manifests },
    });
    this.#verifier = new Verifier({
      ...{ peer, book },
      resolver: this.#resolver,
      router: this.#router,
      readManifest: (ref) => this.#descriptions.readerOf(ref),
    });
    this.#sampler =
      init.sampling &&
      new AnswerSampler((...check) => this.#verifier.check(...check), init.sampling);
  }

  /** The client's own peer id, which nodes see as the caller. */
  get id(): NodeId {
    return this.#peer.id;
  }

  /**
   * A model by its reference, to be called again and again. Asks nobody: whether there is one, its calls say.
   *
   * @throws {ERR_INVALID_INPUT} when it is no reference.
   */
  model(ref: string | ModelRef): RemoteModel {
    return new RemoteModel(this, toModelRef(ref));
  }

  /**
   * Runs a model on one node of the swarm: await the call for its outputs, iterate it, or cancel it.
   *
   * `inputs` are keyed by the model's input names; a model's shapes stand in {@link manifest}. Tensors are sent as they are,
   * plain arrays are made tensors by the manifest, which is read once for each version. Nodes that are busy, dead or silent are
   * replaced by others within the deadline. The inputs must not be written to until the call settles.
   *
   * @throws {ERR_INVALID_INPUT} when the reference or a tensor is wrong: the message says what was expected and found.
   * @throws {ERR_NOT_FOUND} when the model, channel or version is unknown.
   * @throws {ERR_NO_NODE} when no node serves the version now.
   * @throws {ERR_BUSY | ERR_LOADING} when every node refused until the deadline.
   * @throws {ERR_DEADLINE} when time ran out; `phase` says where. {AbortError} when `signal` aborted.
   * @throws {ERR_DISAGREEMENT} with `verify`, when the owners that were asked do not agree.
   * @throws {ERR_EXECUTION | ERR_LIMIT | ERR_FORBIDDEN} as docs/errors.md says; {ERR_CONNECTION} also when the client is closed.
   */
  infer(ref: string | ModelRef, inputs: InferInputs, options: InferOptions = {}): InferenceCall {
    try {
      const model = toModelRef(ref);
      const given = new SingleInputs(inputs, this.#descriptions.readerOf(model));
      const { answer, cancel } = this.#begin(model, given, options);
      return new InferenceCall({ answer, cancel, parts: outputsOf });
    } catch (error) {
      return failedCall(error);
    }
  }

  /**
   * Runs a model on several requests at once, joined along their first axis, and gives each its own rows of every output. One
   * call: it succeeds or fails as a whole. Iteration yields the requests' results in their order.
   *
   * @throws {ERR_INVALID_INPUT} when the requests do not fit each other, or as {@link infer} does.
   * @throws {ERR_INVALID_MODEL} when an output has not one row for each row of the inputs.
   */
  inferBatch(
    ref: string | ModelRef,
    requests: readonly InferInputs[],
    options: InferOptions = {},
  ): InferenceCall<readonly InferResult[], InferResult> {
    try {
      const model = toModelRef(ref);
      const joined = new JoinedInputs(requests, this.#descriptions.readerOf(model));
      const { answer, cancel } = this.#begin(model, joined, options);
      const results = answer.then((result) => splitResult(result, joined.rows));
      return new InferenceCall({ answer: results, cancel, parts: (all) => all });
    } catch (error) {
      return failedCall(error);
    }
  }

  /**
   * Which node {@link infer} would ask now with the same arguments, what it expects of each, and why it would not ask the
   * others. Sends nothing but probes of their load.
   *
   * @throws {ERR_INVALID_INPUT | ERR_NOT_FOUND | ERR_DEADLINE} as `infer` does; {AbortError} when `signal` aborted.
   */
  async explain(
    ref: string | ModelRef,
    inputs: InferInputs,
    options: InferOptions = {},
  ): Promise<RouteExplanation> {
    const model = toModelRef(ref);
    const given = new SingleInputs(inputs, this.#descriptions.readerOf(model));
    const resolved = resolveInferOptions(options, this.#init);
    const clock = new CallClock(resolved.deadlineMs, resolved.signal);
    return this.#calls.run(clock, () => this.#router.explain(model, given, resolved, clock));
  }

  /**
   * Which version a reference means now, to a request that a canary takes no share of.
   *
   * @throws {ERR_NOT_FOUND} when the model or channel is unknown.
   */
  async resolve(ref: string | ModelRef, options: AbortOptions = {}): Promise<ResolvedModel> {
    const model = toModelRef(ref);
    return this.#calls.within(options, formatModelRef(model), (signal) =>
      this.#resolver.resolve(model, signal),
    );
  }

  /**
   * The version's manifest, fetched from a node that holds it and checked against its CID.
   *
   * @throws {ERR_NOT_FOUND | ERR_NO_NODE} when the model is unknown or nobody who holds it can be reached.
   */
  async manifest(ref: string | ModelRef, options: AbortOptions = {}): Promise<Manifest> {
    return (await this.describe(ref, options)).manifest;
  }

  /**
   * Which version a reference means now, and its manifest.
   *
   * @throws {ERR_NOT_FOUND | ERR_NO_NODE} as {@link manifest}.
   */
  async describe(ref: string | ModelRef, options: AbortOptions = {}): Promise<DescribedModel> {
    const model = toModelRef(ref);
    checkAbortOptions(options);
    const known = this.#calls.closed ? undefined : this.#descriptions.known(model);
    if (known !== undefined) return known;
    return this.#calls.within(options, formatModelRef(model), (signal) =>
      this.#descriptions.find(model, signal),
    );
  }

  /**
   * One file of a version, such as its card or tokenizer, without the others; checked against its hashes.
   *
   * @throws {ERR_NOT_FOUND | ERR_NO_NODE} as {@link manifest}, and when the version has no such file.
   * @throws {ERR_LIMIT} when it is larger than `maxBytes`.
   */
  async readFile(
    ref: string | ModelRef,
    path: string,
    options: ReadFileOptions = {},
  ): Promise<Uint8Array> {
    const model = toModelRef(ref);
    checkReadFileOptions(options);
    const { signal: given } = options;
    return this.#calls.within({ signal: given }, formatModelRef(model), async (signal) => {
      const version = await this.describe(model, { signal });
      return readVersionFile(this.#peer, version, path, { ...options, signal });
    });
  }

  /**
   * Where a model's channels point, and how its guarded versions fare: which guards have tripped, why, and on what counts.
   *
   * @throws {ERR_NOT_FOUND} when the model is unknown.
   */
  async releaseStatus(ref: string | ModelRef, options: AbortOptions = {}): Promise<ReleaseStatus> {
    const model = toModelRef(ref);
    return this.#calls.within(options, formatModelRef(model), (signal) =>
      findReleaseStatus(this.#peer, model, signal),
    );
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
    return this.#calls.within(options, 'the catalog', (signal) =>
      searchCatalog(this.#peer, this.#manifests, search, signal),
    );
  }

  /** What is held against nodes that answered wrongly, the oldest first: this client does not ask them. */
  get evidence(): readonly Evidence[] {
    return this.#book.evidence;
  }

  /** The nodes known to this client's peers, each with what it announced of itself. */
  async nodes(options: AbortOptions = {}): Promise<NodeView[]> {
    await this.#survey(options);
    return this.#peer.view.nodes(Date.now());
  }

  /** Every replica known: which version, on which node, in which state. */
  async replicas(options: AbortOptions = {}): Promise<ReplicaView[]> {
    await this.#survey(options);
    return this.#peer.view.replicas(Date.now());
  }

  /** Watches how many machines the swarm needs: joins all that is said of capacity and demand. Whoever asks for it stops it. */
  watchFleet(scaling: ScalingInit = {}): FleetWatch {
    return new FleetWatch(this.#peer, resolveScalingInit(scaling));
  }

  /** Takes part in the lease of a provision hook, of which one that has it is to be told at a time. Whoever asks for it stops it. */
  joinProvisionLease(init: ProvisionLeaseInit): ProvisionLease {
    const lease = new ProvisionLease(this.#peer.provisions, init);
    lease.start();
    return lease;
  }

  /** The replicas of one version that are READY. */
  ready(cid: VersionCid): ReplicaView[] {
    return this.#peer.view.ready(cid, Date.now());
  }

  /** The replicas of one version that answer when they are asked: those that are READY, and cold ones, which are loaded then. */
  servable(cid: VersionCid): ReplicaView[] {
    return [...this.ready(cid), ...this.#peer.view.cold(cid, Date.now())];
  }

  /**
   * Leaves the swarm. Calls that are under way fail at once, as do those that come later.
   *
   * @throws {ERR_STORE} when evidence could not be written down; the client is closed all the same.
   */
  async close(): Promise<void> {
    this.#calls.close();
    await this.#sampler?.close();
    await this.#router.close();
    await this.#manifests.close();
    await this.#peer.stop();
    await this.#book.settled();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #begin(
    model: ModelRef,
    inputs: CallInputs,
    options: InferOptions,
  ): { readonly answer: Promise<InferResult>; readonly cancel: (reason: unknown) => void } {
    const resolved = resolveInferOptions(options, this.#init);
    const clock = new CallClock(resolved.deadlineMs, resolved.signal);
    const answer = this.#calls.run(clock, () => this.#answer(model, inputs, resolved, clock));
    return { answer, cancel: (reason) => clock.cancel(reason) };
  }

  #answer(
    model: ModelRef,
    inputs: CallInputs,
    options: ResolvedInferOptions,
    clock: CallClock,
  ): Promise<InferResult> {
    const { verify: rule } = options;
    if (rule !== undefined) {
      return this.#verifier.infer(model, inputs, { ...options, rule }, clock);
    }
    const sampler = this.#sampler;
    if (sampler === undefined) return this.#router.infer(model, inputs, options, clock);
    return this.#sampled(sampler, model, new SampledInputs(inputs), options, clock);
  }

  async #sampled(
    sampler: AnswerSampler,
    ref: ModelRef,
    inputs: SampledInputs,
    options: ResolvedInferOptions,
    clock: CallClock,
  ): Promise<InferResult> {
    // All of them where some are checked: a node could tell which by who asks for a receipt.
    const sent = { ...options, receipt: true };
    const result = await this.#router.infer(ref, inputs, sent, clock);
    const { receipt, version: cid } = result;
    if (receipt !== undefined) {
      sampler.offer({
        model: { publisher: ref.publisher, name: ref.name, cid },
        inputs: inputs.sent,
        options,
        result: { ...result, receipt },
      });
    }
    return result;
  }

  async #survey(options: AbortOptions): Promise<void> {
    await this.#calls.within(options, 'the swarm', (signal) =>
      this.#peer.survey({ kind: 'nodes' }, { signal }),
    );
  }
}

/**
 * Joins the swarm and resolves once a first peer is connected. Close it, or declare it with `await using`.
 *
 * @throws {ERR_CONFIG} when a setting is wrong.
 * @throws {ERR_CONNECTION} when each address refused, or none answered in the 10 s that a dial may take. {ERR_DEADLINE} when
 * `joinTimeoutMs` ended before that was known.
 * @throws {ERR_STORE} when the evidence in `dataDir` cannot be read.
 */
export async function createClient(init: SwarmClientInit): Promise<SwarmClient> {
  const resolved = resolveClientInit(init);
  const book = await openEvidence(resolved);
  const { network, bootstrap, mdns } = resolved;
  const peer = await SwarmPeer.start({
    ...{ network, bootstrap, mdns, dhtMode: 'client' },
    privateKey: resolved.privateKey ?? (await generateKeyPair('Ed25519')),
    sequences: createMemorySequenceStore(),
  });
  try {
    await peer.connected(AbortSignal.timeout(resolved.joinTimeoutMs));
  } catch (error) {
    await peer.stop();
    throw error;
  }
  return new SwarmClient(peer, resolved, book);
}

/**
 * What a client keeps of nodes that answered wrongly.
 *
 * @throws {ERR_STORE} when what was kept cannot be read.
 */
export async function openEvidence({
  dataDir,
}: Pick<ResolvedClientInit, 'dataDir'>): Promise<EvidenceBook> {
  return EvidenceBook.open(dataDir === undefined ? undefined : new EvidenceFolder(dataDir));
}
