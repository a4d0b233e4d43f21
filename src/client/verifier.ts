import { digestText } from '../../protocols/digest.ts';
import { DEFAULT_TOLERANCE } from '../../protocols/manifest/index.ts';
import { encodeTensors } from '../../protocols/receipt/index.ts';
import { formatModelRef, type ModelRef } from '../../protocols/reference.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';
import type { NodeId, OwnerId, VersionCid } from '../../protocols/types.ts';
import { requestShare } from '../policy/canary.ts';
import { chargeOf } from '../policy/distrust.ts';
import { describeOutputDifference } from '../policy/output-comparison.ts';
import type { VerificationRule } from '../policy/verification.ts';
import type { SwarmPeer } from '../swarm/peer.ts';
import { CallClock } from './call-clock.ts';
import type { CallInputs, ReadManifest } from './call-inputs.ts';
import {
  type DisputedTensors,
  type Evidence,
  MAX_KEPT_TENSOR_BYTES,
  type Testimony,
} from './evidence.ts';
import type { EvidenceBook } from './evidence-book.ts';
import type { ResolvedInferOptions } from './infer-options.ts';
import { type InferResult, outputsOf } from './infer-result.ts';
import type { InferenceRouter } from './inference-router.ts';
import type { ModelResolver, ResolvedModel } from './model-resolver.ts';
import {
  type SignedResult,
  type Verification,
  type VerifiedAnswer,
  VerifiedCall,
} from './verified-call.ts';

/** Characters of a difference that are kept: names of outputs may be long. */
const MAX_DIFFERENCE_LENGTH = 1024;

export interface VerifierComponents {
  readonly peer: SwarmPeer;
  readonly resolver: ModelResolver;
  readonly router: InferenceRouter;
  readonly readManifest: (ref: ModelRef) => ReadManifest;
  readonly book: EvidenceBook;
}

/** A result that owners have agreed on, and who they are. */
export interface VerifiedResult extends InferResult {
  readonly verification: Verification;
}

/** An answer to be checked, and what it is the answer to. */
export interface GivenAnswer {
  readonly model: Pick<ResolvedModel, 'publisher' | 'name' | 'cid'>;
  readonly inputs: readonly NamedTensor[];
  /** Those of the call. */
  readonly options: ResolvedInferOptions;
  readonly result: SignedResult;
}

/** Checks answers by having nodes of other owners give them too, and writes up who lied. */
export class Verifier {
  readonly #components: VerifierComponents;

  constructor(components: VerifierComponents) {
    this.#components = components;
  }

  /**
   * Runs a model on nodes of as many owners as the rule wants, and gives the answer on which they agree. The clock is the
   * verifier's from here on: it stops with the call.
   *
   * @throws as {@link VerifiedCall.run}, and as a call without verification does.
   */
  async infer(
    ref: ModelRef,
    given: CallInputs,
    { rule, ...options }: ResolvedInferOptions & { readonly rule: VerificationRule },
    callClock: CallClock,
  ): Promise<VerifiedResult> {
    using clock = callClock;
    try {
      const share = requestShare(`${ref.publisher}/${ref.name}`, options.key, Math.random);
      const model = await this.#components.resolver.resolve(ref, clock.signal, share);
      const inputs = given.tensors ?? (await given.resolve(model.cid, clock.signal));
      const answer = await this.#run({ model, inputs, options, rule, clock });
      const { cid: version, sequence, channel, fellBack } = model;
      return {
        ...answer.result,
        ...{ version, sequence, channel, fellBack },
        latencyMs: clock.elapsedMs(),
        verification: answer.verification,
      };
    } catch (error) {
      throw clock.explain(error, formatModelRef(ref));
    }
  }

  /**
   * Has another owner's node answer what one has answered already, and more where they disagree.
   *
   * @throws as {@link VerifiedCall.run}.
   */
  async check(
    { result, ...given }: GivenAnswer,
    rule: VerificationRule,
    clock: CallClock,
  ): Promise<VerifiedAnswer> {
    return this.#run({ ...given, rule, clock, given: result });
  }

  async #run({
    model,
    inputs,
    options,
    rule,
    clock,
    given,
  }: {
    readonly model: GivenAnswer['model'];
    readonly inputs: readonly NamedTensor[];
    readonly options: ResolvedInferOptions;
    readonly rule: VerificationRule;
    readonly clock: CallClock;
    readonly given?: SignedResult | undefined;
  }): Promise<VerifiedAnswer> {
    const { resolver, router, readManifest } = this.#components;
    const { publisher, name, cid } = model;
    // Whatever becomes of the channel meanwhile: answers of different versions cannot be compared.
    const pinned: ModelRef = { publisher, name, selector: { kind: 'version', cid } };
    if (this.#owners(cid).length === 0) await resolver.refresh(pinned, cid, clock.signal);
    const { tolerance = DEFAULT_TOLERANCE } = await readManifest(pinned)(cid, clock.signal);
    // Where a call would rather go is no reason to let the same witness speak each time.
    const sent = { ...options, affinity: undefined, receipt: true, patient: false };
    const tensors: CallInputs = { tensors: inputs, resolve: async () => inputs };
    const call = new VerifiedCall(
      {
        owners: () => this.#owners(cid),
        refresh: (signal) => resolver.refresh(pinned, cid, signal),
        run: ({ deadlineMs, ...limits }) => {
          const laneClock = new CallClock(deadlineMs, clock.signal);
          return router.infer(pinned, tensors, { ...sent, ...limits }, laneClock);
        },
        random: Math.random,
      },
      { what: formatModelRef(pinned), rule, clock, tolerance, given },
    );
    const answer = await call.run();
    for (const evidence of this.#charges(model, inputs, answer, tolerance)) {
      this.#components.book.add(evidence);
    }
    return answer;
  }

  #owners(cid: VersionCid): readonly OwnerId[] {
    const { peer, book } = this.#components;
    const nowMs = Date.now();
    const replicas = [...peer.view.ready(cid, nowMs), ...peer.view.cold(cid, nowMs)];
    const trusted = replicas.filter(
      ({ node: { announcement } }) => !book.avoids(announcement.node, announcement.owner, nowMs),
    );
    return [...new Set(trusted.map(({ node }) => node.announcement.owner))];
  }

  *#charges(
    { publisher, name, cid }: GivenAnswer['model'],
    inputs: readonly NamedTensor[],
    { result, agreeing, dissenting }: VerifiedAnswer,
    tolerance: Evidence['tolerance'],
  ): Generator<Evidence> {
    const witnesses = agreeing.map(({ receipt }) => receipt.receipt.provider);
    for (const { result: accused, difference } of dissenting) {
      const { receipt } = accused.receipt;
      const charge = chargeOf({ difference, provider: receipt.provider, witnesses });
      if (charge === undefined) continue;
      yield {
        charge,
        atMs: Date.now(),
        ...{ publisher, name, version: cid, tolerance },
        inputDigest: digestText(receipt.inputs),
        difference: describeOutputDifference(difference).slice(0, MAX_DIFFERENCE_LENGTH),
        accused: this.#testimony(accused),
        witnesses: agreeing.map((one) => this.#testimony(one)),
        tensors: disputed(inputs, accused, result),
      };
    }
  }

  #testimony({ node, owner, receipt }: SignedResult): Testimony {
    return { node, owner, ownerCertificate: this.#certificateOf(node), receipt: receipt.bytes };
  }

  /** Empty when the node's lease ran out since it answered: the evidence is then this client's alone. */
  #certificateOf(node: NodeId): Uint8Array {
    const view = this.#components.peer.view.node(node, Date.now());
    return view?.announcement.ownerCertificate ?? new Uint8Array();
  }
}

function disputed(
  inputs: readonly NamedTensor[],
  accused: InferResult,
  witness: InferResult,
): DisputedTensors | null {
  const [found, expected] = [[...outputsOf(accused)], [...outputsOf(witness)]];
  const totalBytes = [...inputs, ...found, ...expected].reduce(
    (sum, { tensor }) => sum + tensor.bytes.byteLength,
    0,
  );
  if (totalBytes > MAX_KEPT_TENSOR_BYTES) return null;
  return {
    inputs: encodeTensors(inputs),
    found: encodeTensors(found),
    expected: encodeTensors(expected),
  };
}
