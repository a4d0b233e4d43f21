import type { LoadReport } from '../../protocols/types.ts';
import { coolingMs } from './routing.ts';
import { ServiceTime } from './service-time.ts';

/** Milliseconds after which a newcomer gets a full share, and answers that do as well; until then what it claims is not proven. */
export const START_MS = 10_000;
export const START_ANSWERS = 8;

/** The least share of a newcomer: without requests it could prove nothing. */
export const MIN_START_SHARE = 0.1;

/** Milliseconds that a failure counts as, and how many executions at least: fast failures must not look like fast answers. */
const FAILURE_MS = 1_000;
const FAILURE_EXECUTIONS = 10;

/** What failures add at most, in milliseconds, and how long until half of it is forgotten. */
const MAX_PENALTY_MS = 30_000;
const PENALTY_HALF_LIFE_MS = 5_000;

/**
 * Milliseconds for which a node that refused this caller is taken to refuse it again. Its owner may change that at any time, and
 * where nobody else is left it is asked all the same.
 */
export const FORBIDDEN_MS = 60_000;

/** Answers from which on this client's own measurements of the execution count. */
const MIN_ANSWERS = 3;

/**
 * What one client knows of one version on one node, from what it sent there and what came back. Pure: time is an argument, on
 * one clock throughout.
 *
 * Invariant: every {@link reserve} is followed by one {@link release}, on every way out of a request.
 */
export class NodeRecord {
  readonly #service = new ServiceTime();
  readonly #knownSinceMs: number;
  #load: LoadReport = { inFlight: 0, queued: 0, slots: 1, serviceMs: null };
  #loadAtMs = Number.NEGATIVE_INFINITY;
  /** Open requests of this client that the report counts already. */
  #ownInReport = 0;
  #open = 0;
  #answers = 0;
  #lastSentAtMs = Number.NEGATIVE_INFINITY;
  #failuresInARow = 0;
  #coolingUntilMs = 0;
  #brokeAtMs = Number.NEGATIVE_INFINITY;
  #penaltyMs = 0;
  #penaltyAtMs = 0;
  /** What being outpaced adds, and for how long; grows until the node answers. */
  #outpacedMs = 0;
  #outpacedUntilMs = 0;
  #refusedBytes = Number.POSITIVE_INFINITY;
  /** Until when it is taken to refuse this caller, and only what asks for a receipt. */
  #forbiddenUntilMs = 0;
  #noReceiptUntilMs = 0;

  constructor(nowMs: number) {
    this.#knownSinceMs = nowMs;
  }

  /** A request begins its way there. */
  reserve(nowMs: number): void {
    this.#open += 1;
    this.#lastSentAtMs = nowMs;
  }

  /** A request is over, however it ended. */
  release(): void {
    this.#open = Math.max(0, this.#open - 1);
    // What ended is taken to be one that the report knew: the older ones end first.
    this.#ownInReport = Math.max(0, this.#ownInReport - 1);
  }

  /**
   * The node said how busy it is.
   *
   * @param openBefore requests that this client had open there when the node was asked, which its report therefore counts;
   * by default all that are open now.
   */
  report(load: LoadReport, nowMs: number, openBefore = this.#open): void {
    if (nowMs < this.#loadAtMs) return;
    this.#load = load;
    this.#loadAtMs = nowMs;
    this.#ownInReport = Math.min(openBefore, this.#open);
  }

  /** An answer came: of so many elements of input, executed in so many milliseconds. */
  answered(elements: number, executeMs: number): void {
    this.#service.record(elements, executeMs);
    this.#answers += 1;
    this.#failuresInARow = 0;
    this.#coolingUntilMs = 0;
    this.#penaltyMs /= 2;
    this.#outpacedMs = 0;
    this.#forbiddenUntilMs = 0;
  }

  /** The node failed to run a request: that counts as a very slow answer. */
  failed(nowMs: number): void {
    const costMs = Math.max(FAILURE_MS, FAILURE_EXECUTIONS * (this.#load.serviceMs ?? 0));
    this.#penaltyMs = Math.min(MAX_PENALTY_MS, this.#failurePenaltyMs(nowMs) + costMs);
    this.#penaltyAtMs = nowMs;
  }

  /**
   * Another node was asked meanwhile and answered first: this one is as slow as that, at least, and for as long as that. Each time
   * before it answers again adds to both. Were it held against it for longer, all would crowd on the others because of one
   * request that happened to be large.
   */
  outpaced(elapsedMs: number, nowMs: number): void {
    this.#outpacedMs = Math.min(MAX_PENALTY_MS, this.#outpacedMs + elapsedMs);
    this.#outpacedUntilMs = nowMs + this.#outpacedMs;
  }

  /** The node itself failed, so that it cools. Requests that were on their way when it did fail with it and say nothing more. */
  broke(nowMs: number, sentAtMs: number): void {
    if (sentAtMs < this.#brokeAtMs) return;
    this.failed(nowMs);
    this.#brokeAtMs = nowMs;
    this.#failuresInARow += 1;
    this.#coolingUntilMs = nowMs + coolingMs(this.#failuresInARow);
    // Whoever comes back from a failure proves itself anew.
    this.#answers = 0;
  }

  /** The node refused a request of so many bytes as too large. */
  refused(bytes: number): void {
    this.#refusedBytes = Math.min(this.#refusedBytes, bytes);
  }

  /** The node refused this caller; where a receipt was asked for, it may be that which it refused. */
  forbade(nowMs: number, receipt: boolean): void {
    if (receipt) this.#noReceiptUntilMs = nowMs + FORBIDDEN_MS;
    else this.#forbiddenUntilMs = nowMs + FORBIDDEN_MS;
  }

  /** The freshest report. */
  get load(): LoadReport {
    return this.#load;
  }

  /** Requests of this client that are open there. */
  get open(): number {
    return this.#open;
  }

  /** Requests ahead of the next one: those of others by the report, and this client's own. */
  get waiting(): number {
    const { inFlight, queued } = this.#load;
    return Math.max(0, inFlight + queued - this.#ownInReport) + this.#open;
  }

  get lastSentAtMs(): number {
    return this.#lastSentAtMs;
  }

  get coolingUntilMs(): number {
    return this.#coolingUntilMs;
  }

  get refusedBytes(): number {
    return this.#refusedBytes;
  }

  /** Milliseconds until which the node is taken to refuse a request, with a receipt or without; 0 when it refused none. */
  forbiddenUntilMs(receipt: boolean): number {
    return receipt
      ? Math.max(this.#forbiddenUntilMs, this.#noReceiptUntilMs)
      : this.#forbiddenUntilMs;
  }

  loadAgeMs(nowMs: number): number {
    return Math.max(0, nowMs - this.#loadAtMs);
  }

  /** Milliseconds that an execution takes by this client's own measurements; null before there are enough. */
  serviceMs(elements: number): number | null {
    return this.#answers < MIN_ANSWERS ? null : this.#service.estimateMs(elements);
  }

  penaltyMs(nowMs: number): number {
    const outpacedMs = nowMs < this.#outpacedUntilMs ? this.#outpacedMs : 0;
    return this.#failurePenaltyMs(nowMs) + outpacedMs;
  }

  /** From {@link MIN_START_SHARE} to 1: how far the node has proven itself. */
  startShare(nowMs: number): number {
    const sinceMs = Math.max(this.#knownSinceMs, this.#coolingUntilMs);
    const share = Math.max((nowMs - sinceMs) / START_MS, this.#answers / START_ANSWERS);
    return Math.min(1, Math.max(MIN_START_SHARE, share));
  }

  #failurePenaltyMs(nowMs: number): number {
    const passedMs = Math.max(0, nowMs - this.#penaltyAtMs);
    return this.#penaltyMs * 2 ** (-passedMs / PENALTY_HALF_LIFE_MS);
  }
}
