import { isSwarmError, type SwarmError } from '../../protocols/errors.ts';
import type {
  InferenceRequest,
  InferenceResponse,
  Transfer,
} from '../../protocols/inference/index.ts';
import type { SignedReceipt } from '../../protocols/receipt/index.ts';
import type { ModelRef } from '../../protocols/reference.ts';
import { isNotYet, isRetryableElsewhere } from '../../protocols/status.ts';
import type { Tensor } from '../../protocols/tensor.ts';
import type { NodeId, OwnerId } from '../../protocols/types.ts';
import type { CallBudget } from '../policy/call-budget.ts';
import { type HedgeTimes, isWorthHedging } from '../policy/hedge.ts';
import type { NodeWish } from '../policy/node-wish.ts';
import { RETRY_JITTER, retryPauseMs } from '../policy/retry-pause.ts';
import { type Avoided, bestKnown, estimateCompletion } from '../policy/routing.ts';
import { soonestMs } from '../policy/wake-turn.ts';
import { MIN_TIMEOUT_MS, outcomeOfError, type RequestOutcome } from '../swarm/outcome-tally.ts';
import type { SwarmPeer } from '../swarm/peer.ts';
import { type CheckedResponse, createReceiptNonce, openAnswerReceipt } from './answer-receipt.ts';
import type { CallClock } from './call-clock.ts';
import { CallDemand } from './call-demand.ts';
import type { ProgressReporter } from './call-progress.ts';
import { AttemptFailure, type HedgedAnswer, HedgedAttempt } from './hedged-attempt.ts';
import type { FailedAttempt, InferResult } from './infer-result.ts';
import type { ModelResolver, ResolvedModel } from './model-resolver.ts';
import { noNode } from './no-node.ts';
import type { NodeChooser } from './node-chooser.ts';
import type { LinkedCandidate, NodeDirectory, RequestForm } from './node-directory.ts';
import type { SendInit } from './node-link.ts';
import { Refusals } from './refusals.ts';
import { chooseToWake, loadsOf } from './wake-choice.ts';

/** A model that fails while it runs is tried on this many nodes: one more than the first, lest a bad input visit all. */
const MAX_EXECUTION_FAILURES = 2;

/** What one node has a limit for another may take: this many are asked. */
const MAX_LIMIT_FAILURES = 4;

/** Share of the time left after which a second node is asked while nobody knows how long an answer takes: it needs the rest. */
const UNKNOWN_HEDGE_SHARE = 0.5;

/** How long a call goes round nodes that cannot be reached: one that restarts is back within this. */
const UNREACHABLE_MS = 10_000;

/** What a call asks for, checked. */
export interface CallInit {
  readonly ref: ModelRef;
  /** Where the call stands when a canary takes a share: the same for all its attempts. */
  readonly share: number;
  readonly model: ResolvedModel;
  readonly request: Omit<InferenceRequest, 'deadlineMs' | 'version'>;
  readonly bodyBytes: number;
  readonly elements: number;
  readonly prefer: NodeWish;
  readonly affinity: string | undefined;
  readonly avoid: Avoided;
  /** Whether the answer is to come with a receipt. */
  readonly receipt: boolean;
  /** False to give up once every node was asked, rather than to wait for one to have room. */
  readonly patient: boolean;
  /** Hears whose node each request goes to. */
  readonly onSent: ((owner: OwnerId) => void) | undefined;
  readonly progress: ProgressReporter | undefined;
  readonly clock: CallClock;
}

/** What a call asks of whoever turns references into versions. */
export type CallResolver = Pick<ModelResolver, 'resolve' | 'refresh' | 'hint'>;

/** What all calls of a client share. */
export interface CallComponents {
  readonly peer: SwarmPeer;
  readonly resolver: CallResolver;
  readonly directory: NodeDirectory;
  readonly chooser: NodeChooser;
  readonly retries: CallBudget;
  readonly hedges: CallBudget;
  readonly hedgeTimes: HedgeTimes;
}

/** One call on its way: from node to node until one answers, none can, or its time is up. */
export class RoutedCall {
  readonly #init: CallInit;
  readonly #components: CallComponents;
  #model: ResolvedModel;
  readonly #tried = new Set<NodeId>();
  readonly #failedOwners = new Set<OwnerId>();
  readonly #failed: FailedAttempt[] = [];
  readonly #refusals = new Refusals();
  readonly #failures = { execution: 0, limit: 0 };
  #rounds = 0;
  #attempts = 0;
  /** Requests sent, those to a second node beside a first among them. */
  #sends = 0;
  readonly #demand = new CallDemand();
  /** The last attempt, until it has failed: to which node, and when it began on the clock of `performance`. */
  #attempted: { readonly node: NodeId; readonly atMs: number } | undefined;

  constructor(init: CallInit, components: CallComponents) {
    this.#init = init;
    this.#components = components;
    this.#model = init.model;
  }

  /**
   * Runs the call and counts how it ends for or against its version. A failure that another node makes good is that node's,
   * not the version's, so the call as a whole is counted, not each attempt.
   */
  async run(): Promise<InferResult> {
    const { retries, hedges, peer } = this.#components;
    retries.called();
    hedges.called();
    try {
      return await this.#run();
    } catch (cause) {
      const error = this.#reasonOf(cause);
      const outcome = this.#outcomeOf(error);
      if (outcome !== undefined) peer.outcomes.count(this.#model, outcome);
      // What reached no node is demand that only this client knows of.
      if (!this.#demand.counted && isSwarmError(error)) {
        peer.demand.meter(this.#model.cid).missed(performance.now());
      }
      throw error;
    }
  }

  async #run(): Promise<InferResult> {
    const { retries, directory, chooser } = this.#components;
    for (;;) {
      let ready = this.#ready();
      const asked = chooser.selectable(ready, this.#routing());
      const answers = directory.probe(asked, this.#form(), this.#init.clock);
      if (answers !== undefined) {
        await answers;
        ready = this.#ready();
      }
      const choice = this.#select(ready);
      if (choice === undefined) await this.#nextRound();
      else if (this.#attempts > 0 && !retries.take(performance.now())) await this.#saveUp();
      else {
        // In one step with the choice: whoever chooses next finds this request counted there.
        const outcome = await this.#attempt(choice);
        if (!(outcome instanceof AttemptFailure)) return this.#answered(outcome);
        this.#attempted = undefined;
        this.#attemptFailed(outcome.choice, outcome.error);
      }
    }
  }

  /** A READY node, else one that has the version on its disk and loads it when asked: the same for all who ask at once. */
  #select(ready = this.#ready()): LinkedCandidate | undefined {
    const { directory, chooser } = this.#components;
    const chosen = chooser.choose(ready, this.#routing());
    if (chosen !== undefined || this.#refusals.waking) return chosen;
    const { cid } = this.#model;
    const cold = chooser.selectable(directory.cold(this.#form()), this.#routing());
    return chooseToWake(cold, directory.holders(cid), { cid, forMs: this.#init.clock.elapsedMs() });
  }

  #ready(): readonly LinkedCandidate[] {
    return this.#components.directory.ready(this.#form());
  }

  async #attempt(choice: LinkedCandidate): Promise<HedgedAnswer | AttemptFailure> {
    const { hedgeTimes } = this.#components;
    const { bodyBytes, clock } = this.#init;
    this.#attempts += 1;
    this.#attempted = { node: choice.node, atMs: performance.now() };
    const { totalMs } = estimateCompletion(choice, bodyBytes, bestKnown([choice]));
    const afterMs = hedgeTimes.afterMs(this.#model.cid, bodyBytes, totalMs);
    const attempt = new HedgedAttempt({
      afterMs: afterMs ?? UNKNOWN_HEDGE_SHARE * clock.remainingMs(),
      signal: clock.signal,
      send: (to, options) => this.#send(to, options),
      second: (first, late) => this.#second(first, late),
      onFailed: (failed, error) => {
        if (isSwarmError(error)) this.#note(failed, error);
      },
      onOutpaced: ({ link }, elapsedMs) =>
        link.recordOf(this.#model.cid).outpaced(elapsedMs, Date.now()),
    });
    return attempt.run(choice);
  }

  async #send(
    { link, node, owner, cold, etaMs }: LinkedCandidate,
    options: { readonly signal: AbortSignal; readonly onOutput: () => void },
  ): Promise<CheckedResponse> {
    const { request, bodyBytes, receipt, clock, progress, onSent } = this.#init;
    const receiptNonce = receipt ? createReceiptNonce() : undefined;
    const deadlineMs = clock.remainingMs();
    const sent = { ...request, version: this.#model.cid, deadlineMs, receiptNonce };
    this.#sends += 1;
    progress?.report({ kind: 'sent', node, owner, attempt: this.#sends, cold, etaMs });
    const onTransfer =
      progress &&
      ((transfer: Transfer): void => progress.report({ kind: 'transfer', node, ...transfer }));
    onSent?.(owner);
    const infer = (more: Pick<SendInit, 'check'>): Promise<InferenceResponse> =>
      this.#demand.send((again) =>
        link.infer({ ...sent, again }, { ...options, bodyBytes, onTransfer, ...more }),
      );
    if (!receipt) return infer({});
    let signed: SignedReceipt | undefined;
    const caller = this.#components.peer.id;
    const check = async (response: InferenceResponse): Promise<void> => {
      signed = await openAnswerReceipt(sent, response, { node, caller });
    };
    const response = await infer({ check });
    return { ...response, signed };
  }

  /** Whom to ask beside a node that takes too long. One that is only slow is the hedges' business, one that is silent a failure. */
  #second(first: LinkedCandidate, late: boolean): LinkedCandidate | undefined {
    const { directory, chooser, hedges, retries } = this.#components;
    const routing = this.#routing();
    const tried = new Set([...this.#tried, first.node]);
    const choice = chooser.choose(directory.ready(this.#form()), { ...routing, tried });
    if (choice === undefined || choice.suspect) return undefined;
    if (late && !isWorthHedging(choice, this.#init.bodyBytes)) return undefined;
    return (late ? hedges : retries).take(performance.now()) ? choice : undefined;
  }

  /** Every attempt after the first is paid from the client's budget: waits until there is something in it, while the call has time. */
  async #saveUp(): Promise<void> {
    const { retries } = this.#components;
    const { clock } = this.#init;
    const waitMs = retries.waitMs(performance.now());
    if (waitMs >= clock.remainingMs()) throw this.#nobody();
    await clock.sleep(waitMs);
  }

  #answered({ choice, response, elapsedMs }: HedgedAnswer): InferResult {
    const { ref, bodyBytes, clock } = this.#init;
    const { peer, resolver, hedgeTimes } = this.#components;
    const model = this.#model;
    hedgeTimes.answered(model.cid, bodyBytes, elapsedMs);
    // The node's own figure, but never more than was waited for: it is the version that is measured, not the way to it.
    const latencyMs = Math.min(response.executeMs, elapsedMs);
    peer.outcomes.count(model, { kind: 'answered', latencyMs });
    const known = peer.releases.cached(ref.publisher, ref.name)?.record.sequence ?? 0;
    if (model.channel !== null && response.releaseSequence > known) {
      resolver.hint(ref, choice.node);
    }
    const outputs: Record<string, Tensor> = Object.create(null);
    for (const { name, tensor } of response.outputs) outputs[name] = tensor;
    return {
      outputs,
      version: model.cid,
      sequence: model.sequence,
      channel: model.channel,
      fellBack: model.fellBack,
      node: choice.node,
      owner: choice.owner,
      latencyMs: clock.elapsedMs(),
      queueMs: response.queueMs,
      executeMs: response.executeMs,
      failedAttempts: this.#failed,
      ...(response.signed === undefined ? {} : { receipt: response.signed }),
    };
  }

  /** Notes why a node did not answer; throws when no other node could do better. */
  #attemptFailed(choice: LinkedCandidate, error: unknown): void {
    if (!isSwarmError(error)) throw error;
    const limit = error.code === 'ERR_LIMIT' && error.details['remote'] === true;
    if (!limit && !isRetryableElsewhere(error)) throw error;
    if (limit && (this.#failures.limit += 1) >= MAX_LIMIT_FAILURES) throw error;
    if (error.code === 'ERR_EXECUTION') {
      this.#failures.execution += 1;
      if (this.#failures.execution >= MAX_EXECUTION_FAILURES) throw error;
    }
    this.#note(choice, error);
  }

  #note({ node, owner }: LinkedCandidate, error: SwarmError): void {
    this.#tried.add(node);
    // A node that is busy or loading says nothing of its owner.
    if (!isNotYet(error)) this.#failedOwners.add(owner);
    const { code, message } = error;
    this.#failed.push({ node, code, message });
    this.#init.progress?.report({ kind: 'failed', node, code, message });
    this.#refusals.add(error);
  }

  /** Every known node was tried, or none is known: ask the peers around, wait where that may help, else give up. */
  async #nextRound(): Promise<void> {
    const { clock, ref, share } = this.#init;
    const { resolver, directory } = this.#components;
    const { cid } = this.#model;
    const found = directory.seek(cid, clock);
    found.catch(() => {
      // It rejects when the call's time is up, and is waited for only where nobody else is there to ask.
    });
    await resolver.refresh(ref, cid, clock.signal);
    if (directory.holders(cid).length === 0) await found;
    const model = await resolver.resolve(ref, clock.signal, share);
    // The channel may have moved on while the call looked for a node: what nobody serves any more is not waited for.
    if (model.cid !== this.#model.cid) this.#tried.clear();
    this.#model = model;
    if (this.#select() !== undefined) return;
    if (!this.#init.patient) throw this.#nobody();
    const waitMs = this.#pauseMs();
    const readyInMs = this.#refusals.readyInMs ?? waitMs;
    if (waitMs === undefined || Math.max(waitMs, readyInMs ?? 0) >= clock.remainingMs()) {
      throw this.#nobody();
    }
    this.#reportWaiting(waitMs);
    await clock.sleep(Math.min(waitMs * (1 + RETRY_JITTER * Math.random()), clock.remainingMs()));
    this.#rounds += 1;
    this.#tried.clear();
    this.#failedOwners.clear();
    this.#refusals.clear();
  }

  #reportWaiting(waitMs: number): void {
    const { code = null, details = {} } = this.#refusals.best ?? {};
    const holders = this.#components.directory.holders(this.#model.cid);
    const etaMs =
      typeof details['etaMs'] === 'number' ? details['etaMs'] : soonestMs(loadsOf(holders));
    this.#init.progress?.report({ kind: 'waiting', waitMs, code, etaMs });
  }

  /** Milliseconds until another round may find a node; undefined when none will. */
  #pauseMs(): number | undefined {
    const toldMs = this.#refusals.pauseMs;
    if (toldMs !== undefined) return toldMs;
    if (this.#refusals.forbidden) return undefined;
    const { directory } = this.#components;
    const held = directory.holders(this.#model.cid).length > 0;
    if (!held && !directory.hasLost(this.#model.cid)) return undefined;
    if ((this.#tried.size > 0 || !held) && this.#init.clock.elapsedMs() > UNREACHABLE_MS)
      return undefined;
    return retryPauseMs(this.#rounds + 1);
  }

  #nobody(): SwarmError {
    const { directory } = this.#components;
    const holders = directory.holders(this.#model.cid);
    return this.#refusals.best ?? noNode(this.#init.ref, this.#model.cid, holders);
  }

  #form(): RequestForm {
    const { elements, prefer, receipt } = this.#init;
    return { version: this.#model.cid, elements, prefer, receipt };
  }

  #routing() {
    const { bodyBytes, avoid, affinity, clock } = this.#init;
    return {
      bodyBytes,
      avoid,
      affinity,
      remainingMs: clock.remainingMs(),
      tried: this.#tried,
      failedOwners: this.#failedOwners,
      counted: this.#demand.counted,
    };
  }

  /** A call whose time ran out while nodes told it to come back is told when, rather than that it is late. */
  #reasonOf(error: unknown): unknown {
    const { best } = this.#refusals;
    if (!this.#init.clock.expired || !isNotYet(best)) return error;
    const asked = this.#attempted?.node;
    // A node that has taken the request is not one that refused it; one that refused before is only asked again.
    const again = this.#failed.some(({ node, code }) => node === asked && code === best.code);
    return asked === undefined || again ? best : error;
  }

  /** A call that ran out of time on a node is one that the version, or its nodes, were too slow for. */
  #outcomeOf(error: unknown): RequestOutcome | undefined {
    const onNodeMs = performance.now() - (this.#attempted?.atMs ?? Infinity);
    if (this.#init.clock.expired && onNodeMs >= MIN_TIMEOUT_MS) return { kind: 'timeout' };
    return outcomeOfError(error, onNodeMs);
  }
}
