import {
  DisagreementError,
  isSwarmError,
  NoNodeError,
  type SwarmError,
} from '../../protocols/errors.ts';
import type { Tolerance } from '../../protocols/manifest/index.ts';
import type { SignedReceipt } from '../../protocols/receipt/index.ts';
import { isNotYet, isRetryableElsewhere } from '../../protocols/status.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';
import type { NodeId, OwnerId } from '../../protocols/types.ts';
import { describeOutputDifference, type OutputDifference } from '../policy/output-comparison.ts';
import { type Avoided, NOBODY } from '../policy/routing.ts';
import {
  dealOwners,
  differenceOfAnswers,
  ruleOnAnswers,
  type VerificationRule,
} from '../policy/verification.ts';
import type { CallClock } from './call-clock.ts';
import { type InferResult, outputsOf } from './infer-result.ts';

/** Owners on whose nodes a model may fail while it runs before its input is at fault. */
const MAX_EXECUTION_FAILURES = 2;

/** Wait before owners that had no room are asked again, when none said when to come back, and the longest. */
const RETRY_PAUSE_MS = 100;
const MAX_RETRY_PAUSE_MS = 1_000;

/** One owner's answer, and what the others made of it. */
export interface Witness {
  readonly node: NodeId;
  readonly owner: OwnerId;
  /** Execution provider that the node says it ran on, such as `cpu` or `cuda`. */
  readonly provider: string;
  /** Whether it agrees with the answer that was returned. */
  readonly agrees: boolean;
  /** Where it differs from that answer, in words; null when it agrees. */
  readonly difference: string | null;
  /** Signed by the node. */
  readonly receipt: Uint8Array;
}

/** What an answer was checked by. */
export interface Verification {
  /** Owners that were to agree. */
  readonly replicas: number;
  /** Owners that do, whose answer it is among them; fewer than `replicas` when no more could be asked. */
  readonly agreed: number;
  /** Everybody who answered, who agrees first. */
  readonly witnesses: readonly Witness[];
}

/** An answer whose receipt is here, as every answer is that counts. */
export interface SignedResult extends InferResult {
  readonly receipt: SignedReceipt;
}

/** An answer that most owners disagree with. */
export interface DissentingAnswer {
  readonly result: SignedResult;
  readonly difference: OutputDifference;
}

/** How a verified call ended well. */
export interface VerifiedAnswer {
  readonly result: SignedResult;
  readonly verification: Verification;
  /** Those whose answers agree, `result` first. */
  readonly agreeing: readonly SignedResult[];
  readonly dissenting: readonly DissentingAnswer[];
}

export interface VerifiedCallInit {
  /** What is asked, for messages. */
  readonly what: string;
  readonly rule: VerificationRule;
  readonly clock: CallClock;
  readonly tolerance: Tolerance;
  /** An answer that is there already, to be checked. */
  readonly given?: SignedResult | undefined;
}

export interface VerifiedCallComponents {
  /** Owners of the nodes that serve the version, as known now, without those that are distrusted. */
  owners(): readonly OwnerId[];
  /** Asks the peers around who serves it. */
  refresh(signal: AbortSignal): Promise<void>;
  /** Runs the one request on a node of whom it may ask, without waiting for room, and gives its answer with a receipt. */
  run(lane: LaneOptions): Promise<InferResult>;
  readonly random: () => number;
}

/** Whom one of several requests that run at once may ask, and for how long. */
export interface LaneOptions {
  readonly avoid: Avoided;
  /** Milliseconds. */
  readonly deadlineMs: number;
  /** Hears whose node each request goes to. */
  readonly onSent: (owner: OwnerId) => void;
}

/**
 * One request run on nodes of different owners until enough of them agree.
 *
 * Invariant: no owner has two answers in it, whatever nodes they have.
 */
export class VerifiedCall {
  readonly #init: VerifiedCallInit;
  readonly #components: VerifiedCallComponents;
  readonly #answers: SignedResult[] = [];
  /** Owners that gave no answer, and are not asked before the next round. */
  readonly #failed = new Set<OwnerId>();
  readonly #differences = new Map<string, OutputDifference | undefined>();
  #lastError: SwarmError | undefined;
  #executionFailures = 0;
  #rounds = 0;
  /** Whether the peers around were asked who else there is. */
  #searched = false;

  constructor(components: VerifiedCallComponents, init: VerifiedCallInit) {
    this.#components = components;
    this.#init = init;
    if (init.given !== undefined) this.#answers.push(init.given);
  }

  /**
   * @throws {ERR_DISAGREEMENT} when no answer has more than half of the owners behind it.
   * @throws {ERR_NO_NODE} when fewer owners could be asked than the caller is content with, or what the last of them refused with.
   * @throws what a call without verification throws when every owner would say the same.
   */
  async run(): Promise<VerifiedAnswer> {
    for (;;) {
      const agree = (a: number, b: number): boolean => this.#difference(a, b) === undefined;
      const further = this.#further();
      const ruling = ruleOnAnswers(this.#answers.length, agree, this.#init.rule, further.length);
      switch (ruling.kind) {
        case 'ask':
          await this.#ask(dealOwners(further, ruling.owners, this.#components.random));
          break;
        case 'too few':
          if (!(await this.#nextRound())) throw this.#tooFew();
          break;
        case 'disagreed':
          if (!(await this.#nextRound())) throw this.#disagreement(ruling.most);
          break;
        case 'agreed':
          // More than half of few is no reason to leave those out who are only not known yet.
          if (ruling.agreeing.length < this.#init.rule.replicas && (await this.#findMore())) break;
          return this.#agreed(ruling.answer, ruling.agreeing, ruling.dissenting);
      }
    }
  }

  #further(): readonly OwnerId[] {
    const answered = new Set(this.#answers.map(({ owner }) => owner));
    return this.#components
      .owners()
      .filter((owner) => !answered.has(owner) && !this.#failed.has(owner));
  }

  /** One answer from each lane of owners, at once. */
  async #ask(lanes: readonly (readonly OwnerId[])[]): Promise<void> {
    const { clock } = this.#init;
    const deadlineMs = this.#laneDeadlineMs(lanes);
    const asked = lanes.map(() => new Set<OwnerId>());
    const settled = await Promise.allSettled(
      lanes.map((lane, index) =>
        this.#components.run({
          avoid: this.#allBut(lane),
          deadlineMs,
          onSent: (owner) => asked[index]?.add(owner),
        }),
      ),
    );
    clock.signal.throwIfAborted();
    for (const [index, outcome] of settled.entries()) {
      if (outcome.status === 'fulfilled') this.#take(outcome.value);
      else this.#laneFailed(lanes[index] ?? [], asked[index] ?? new Set(), outcome.reason);
    }
  }

  /** Half of the time that is left while the call can do without one of the lanes: who is silent must not take all of it. */
  #laneDeadlineMs(lanes: readonly (readonly OwnerId[])[]): number {
    const { clock, rule } = this.#init;
    const spare = lanes.flat().length > lanes.length;
    const enough = this.#answers.length + lanes.length > rule.atLeast;
    const leftMs = clock.remainingMs();
    return spare || enough ? Math.ceil(leftMs / 2) : leftMs;
  }

  /** Everybody known who is not of a lane. */
  #allBut(lane: readonly OwnerId[]): Avoided {
    const owners = new Set([
      ...this.#components.owners(),
      ...this.#answers.map(({ owner }) => owner),
      ...this.#failed,
    ]);
    for (const owner of lane) owners.delete(owner);
    return { nodes: NOBODY.nodes, owners };
  }

  #take(result: InferResult): void {
    const { receipt } = result;
    // Of an owner who was not known when the lanes were dealt, two lanes may have found a node.
    if (receipt === undefined || this.#answers.some(({ owner }) => owner === result.owner)) return;
    this.#answers.push({ ...result, receipt });
  }

  /** Notes that nobody of a lane answered; throws when nobody else could do better. */
  #laneFailed(lane: readonly OwnerId[], asked: ReadonlySet<OwnerId>, error: unknown): void {
    if (!isSwarmError(error)) throw error;
    this.#lastError = error;
    if (error.code === 'ERR_DEADLINE' && asked.size > 0) {
      // Of those who were not asked the time that ran out says nothing.
      for (const owner of asked) this.#failed.add(owner);
      return;
    }
    if (error.code !== 'ERR_DEADLINE' && !isRetryableElsewhere(error)) throw error;
    if (error.code === 'ERR_EXECUTION') {
      this.#executionFailures += 1;
      if (this.#executionFailures >= MAX_EXECUTION_FAILURES) throw error;
    }
    for (const owner of lane) this.#failed.add(owner);
  }

  /** Asks the peers around, once, who else serves the version; true when somebody is found. */
  async #findMore(): Promise<boolean> {
    if (this.#searched) return false;
    this.#searched = true;
    await this.#components.refresh(this.#init.clock.signal);
    return this.#further().length > 0;
  }

  /** Owners are missing: asks who else there is, or waits for those that had no room; false when neither helps. */
  async #nextRound(): Promise<boolean> {
    if (await this.#findMore()) return true;
    const { clock } = this.#init;
    this.#rounds += 1;
    const waitMs = pauseMs(this.#lastError, this.#rounds);
    if (waitMs === undefined || waitMs >= clock.remainingMs()) return false;
    await clock.sleep(waitMs);
    this.#failed.clear();
    this.#lastError = undefined;
    await this.#components.refresh(clock.signal);
    return true;
  }

  #tooFew(): SwarmError {
    const { what, rule } = this.#init;
    const found = this.#answers.length;
    if (found === 0 && this.#lastError !== undefined) return this.#lastError;
    return new NoNodeError(
      `${what} was answered by nodes of ${found} owners, expected at least ${rule.atLeast}`,
      {
        details: { answers: this.#answers.map(({ node, owner }) => ({ node, owner })) },
        cause: this.#lastError,
      },
    );
  }

  #disagreement(most: number): DisagreementError {
    const count = this.#answers.length;
    return new DisagreementError(
      `${this.#init.what} was answered by nodes of ${count} owners, of which at most ${most} agree, expected more than half: ${this.#firstDifference()}`,
      { details: { most, answers: this.#answers.map(({ node, owner }) => ({ node, owner })) } },
    );
  }

  #firstDifference(): string {
    for (let other = 1; other < this.#answers.length; other += 1) {
      const difference = this.#difference(0, other);
      if (difference !== undefined) return describeOutputDifference(difference);
    }
    return 'no difference';
  }

  #agreed(
    answer: number,
    agreeing: readonly number[],
    dissenting: readonly number[],
  ): VerifiedAnswer {
    const order = [answer, ...agreeing.filter((index) => index !== answer)];
    const [result, ...others] = order.flatMap((index) => this.#answers[index] ?? []);
    if (result === undefined) throw new RangeError(`there is no answer ${answer}`);
    const dissents = dissenting.flatMap((index) => {
      const difference = this.#difference(answer, index);
      const dissenter = this.#answers[index];
      if (difference === undefined || dissenter === undefined) return [];
      return [{ result: dissenter, difference }];
    });
    const witnesses = [
      ...[result, ...others].map((one) => toWitness(one, undefined)),
      ...dissents.map((one) => toWitness(one.result, one.difference)),
    ];
    const { replicas } = this.#init.rule;
    return {
      result,
      verification: { replicas, agreed: order.length, witnesses },
      agreeing: [result, ...others],
      dissenting: dissents,
    };
  }

  /** Of two answers, by their indices, the same both ways; each pair is compared once. */
  #difference(a: number, b: number): OutputDifference | undefined {
    const key = `${a} ${b}`;
    if (!this.#differences.has(key)) {
      const [expected, found] = [this.#outputs(a), this.#outputs(b)];
      const difference = differenceOfAnswers(expected, found, this.#init.tolerance);
      this.#differences.set(key, difference);
    }
    return this.#differences.get(key);
  }

  #outputs(index: number): readonly NamedTensor[] {
    const answer = this.#answers[index];
    return answer === undefined ? [] : [...outputsOf(answer)];
  }
}

function toWitness(
  { node, owner, receipt }: SignedResult,
  difference: OutputDifference | undefined,
): Witness {
  return {
    node,
    owner,
    provider: receipt.receipt.provider,
    agrees: difference === undefined,
    difference: difference === undefined ? null : describeOutputDifference(difference),
    receipt: receipt.bytes,
  };
}

/** How long to wait for owners that have no room now; undefined when it is not room that was missing. */
function pauseMs(error: SwarmError | undefined, rounds: number): number | undefined {
  if (!isNotYet(error)) return undefined;
  const told = error.details['retryAfterMs'] ?? error.details['etaMs'];
  const ms = typeof told === 'number' ? told : RETRY_PAUSE_MS * rounds;
  return Math.min(MAX_RETRY_PAUSE_MS, Math.max(RETRY_PAUSE_MS, ms));
}
