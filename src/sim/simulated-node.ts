import type { LoadReport } from '../../protocols/types.ts';
import {
  DEFAULT_MAX_QUEUED_BYTES,
  decideAdmission,
  estimateWaitMs,
  type RunWork,
} from '../policy/admission.ts';
import { FairOrder } from '../policy/fair-order.ts';
import { momentaryLoad } from '../policy/momentary-load.ts';
import { ServiceTime } from '../policy/service-time.ts';
import type { EventQueue } from './event-queue.ts';
import { endOf, type NodeSpec } from './traffic.ts';

/** Requests that may wait, as a node has it by default. */
const MAX_QUEUED = 256;

/** All requests are of one shape. */
export const ELEMENTS = 1;

/** What a node says of an execution. */
export interface Execution {
  readonly queueMs: number;
  readonly executeMs: number;
}

/** A request on a node. */
export interface NodeRequest {
  readonly caller: string;
  readonly work: number;
  /** Milliseconds until the caller gives up. */
  readonly deadlineMs: number;
  readonly onDone: (execution: Execution) => void;
}

interface Waiting extends NodeRequest {
  readonly priority: 0;
  readonly cost: 1;
  readonly cameAtMs: number;
}

/** A node with one model that runs one request at a time: admission, fair order and measured times are the node's own. */
export class SimulatedNode {
  readonly spec: NodeSpec;
  readonly #events: EventQueue;
  readonly #line = new FairOrder<Waiting>();
  readonly #queuedOf = new Map<string, number>();
  readonly #times = new ServiceTime();
  #running: { readonly expectedMs: number | null; readonly beganAtMs: number } | undefined;

  constructor(spec: NodeSpec, events: EventQueue) {
    this.spec = spec;
    this.#events = events;
  }

  get load(): LoadReport {
    return {
      inFlight: this.#running === undefined ? 0 : 1,
      queued: this.#line.length,
      slots: 1,
      serviceMs: this.#times.estimateMs(ELEMENTS),
    };
  }

  /** What it tells who asks, beside what it announces. */
  get momentaryLoad(): LoadReport {
    return momentaryLoad(this.load, this.#runs(this.#events.nowMs));
  }

  /** Takes a request and returns what takes it back while it waits; or the milliseconds after which to come again. */
  submit(request: NodeRequest): (() => void) | number {
    const nowMs = this.#events.nowMs;
    const decision = decideAdmission(
      {
        queued: this.#line.length,
        maxQueued: MAX_QUEUED,
        queuedBytes: 0,
        maxQueuedBytes: DEFAULT_MAX_QUEUED_BYTES,
        callerQueued: this.#queuedOf.get(request.caller) ?? 0,
        callerBytes: 0,
        waitMs: this.#waitMs(nowMs),
        serviceMs: this.#times.estimateMs(ELEMENTS),
      },
      { deadlineMs: request.deadlineMs, bytes: 0 },
    );
    if (!decision.admitted) return decision.retryAfterMs;
    const waiting: Waiting = { ...request, priority: 0, cost: 1, cameAtMs: nowMs };
    this.#line.add(waiting);
    this.#count(waiting, 1);
    this.#advance();
    return () => {
      if (this.#line.remove(waiting)) this.#count(waiting, -1);
    };
  }

  #waitMs(nowMs: number): number {
    const queued = this.#line.length;
    return estimateWaitMs({
      runs: this.#runs(nowMs),
      parallel: 1,
      queuedMs: queued === 0 ? 0 : this.#times.estimateMs(ELEMENTS * queued, queued),
    });
  }

  #runs(nowMs: number): RunWork[] {
    if (this.#running === undefined) return [];
    const { expectedMs, beganAtMs } = this.#running;
    return [{ expectedMs, runningMs: nowMs - beganAtMs }];
  }

  #count({ caller }: Waiting, sign: 1 | -1): void {
    const queued = (this.#queuedOf.get(caller) ?? 0) + sign;
    if (queued === 0) this.#queuedOf.delete(caller);
    else this.#queuedOf.set(caller, queued);
  }

  #advance(): void {
    if (this.#running !== undefined) return;
    const next = this.#line.take();
    if (next === undefined) return;
    this.#count(next, -1);
    const beganAtMs = this.#events.nowMs;
    this.#running = { expectedMs: this.#times.estimateMs(ELEMENTS), beganAtMs };
    const endMs = endOf(this.spec, beganAtMs, next.work * this.spec.serviceMs);
    this.#events.at(endMs, () => {
      this.#running = undefined;
      this.#times.record(ELEMENTS, endMs - beganAtMs);
      next.onDone({ queueMs: beganAtMs - next.cameAtMs, executeMs: endMs - beganAtMs });
      this.#advance();
    });
  }
}
