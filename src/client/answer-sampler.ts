import { BoundedMap } from '../../protocols/bounded-map.ts';
import { Tensor } from '../../protocols/tensor.ts';
import { isSampled } from '../policy/sampling.ts';
import { CallClock } from './call-clock.ts';
import { outputsOf } from './infer-result.ts';
import type { ResolvedSamplingInit } from './sampling-init.ts';
import type { SignedResult, VerifiedAnswer } from './verified-call.ts';
import type { GivenAnswer } from './verifier.ts';

/** Checks under way at once: they must not crowd out the calls. */
const MAX_CHECKS_IN_FLIGHT = 2;

/** Bytes of inputs that are copied for a check; of larger requests no answer is checked. */
const MAX_CHECK_BYTES = 4 * 1024 * 1024;

/** Checks that a client which was quiet may make at once. */
const BURST = 10;

const CHECK_DEADLINE_MS = 30_000;

/** Nodes whose credit is remembered, each per execution provider; who was checked longest ago is new again. */
const MAX_CREDITS = 4096;

/** One witness is enough while both agree; a third decides otherwise. */
const RULE = { replicas: 2, atLeast: 2 } as const;

/** Has an answer checked by other owners. */
export type CheckAnswer = (
  given: GivenAnswer,
  rule: typeof RULE,
  clock: CallClock,
) => Promise<VerifiedAnswer>;

/**
 * Has some answers of ordinary calls checked in the background, after they were returned: all of a node's first ones, later a
 * share. Credit comes of checks alone, for each execution provider anew.
 */
export class AnswerSampler {
  readonly #check: CheckAnswer;
  readonly #init: ResolvedSamplingInit;
  readonly #credit = new BoundedMap<string, number>(MAX_CREDITS);
  readonly #closing = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  /** Checks that the budget allows now. */
  #allowance = BURST;

  constructor(check: CheckAnswer, init: ResolvedSamplingInit) {
    this.#check = check;
    this.#init = init;
  }

  /**
   * Begins a check of an answer where one is due; never waits for it. What it needs of the tensors is copied before this returns:
   * whose they are may write to them afterwards.
   */
  offer(given: GivenAnswer): void {
    this.#allowance = Math.min(BURST, this.#allowance + this.#init.budget);
    const credit = this.#credit.get(creditKey(given.result)) ?? 0;
    if (!isSampled(credit, this.#init, Math.random)) return;
    if (this.#allowance < 1 || this.#underWay.size >= MAX_CHECKS_IN_FLIGHT) return;
    if (this.#closing.signal.aborted || inputBytes(given) > MAX_CHECK_BYTES) return;
    this.#allowance -= 1;
    const check = this.#run(copyOf(given));
    this.#underWay.add(check);
    void check.finally(() => this.#underWay.delete(check));
  }

  /** Gives up what is under way, and waits until it is. */
  async close(): Promise<void> {
    this.#closing.abort(new DOMException('the client closes', 'AbortError'));
    await Promise.all(this.#underWay);
  }

  async #run(given: GivenAnswer): Promise<void> {
    try {
      using clock = new CallClock(CHECK_DEADLINE_MS, this.#closing.signal);
      const { agreeing } = await this.#check(given, RULE, clock);
      for (const result of agreeing) {
        const key = creditKey(result);
        this.#credit.set(key, (this.#credit.get(key) ?? 0) + 1);
      }
    } catch {
      // Nobody could check it, or no two agreed: the answer earns its node no credit, and nothing is held against anybody.
    }
  }
}

function creditKey({ node, receipt }: SignedResult): string {
  return `${node} ${receipt.receipt.provider}`;
}

function inputBytes({ inputs }: GivenAnswer): number {
  return inputs.reduce((sum, { tensor }) => sum + tensor.bytes.byteLength, 0);
}

function copyOf(given: GivenAnswer): GivenAnswer {
  const { result, inputs } = given;
  const outputs: Record<string, Tensor> = Object.create(null);
  for (const { name, tensor } of outputsOf(result)) outputs[name] = copyOfTensor(tensor);
  return {
    ...given,
    // The call has ended: nobody is to hear of its check, nor to wait behind it.
    options: { ...given.options, progress: undefined, priority: 0 },
    inputs: inputs.map(({ name, tensor }) => ({ name, tensor: copyOfTensor(tensor) })),
    result: { ...result, outputs },
  };
}

function copyOfTensor({ datatype, shape, bytes }: Tensor): Tensor {
  return new Tensor(datatype, shape, new Uint8Array(bytes));
}
