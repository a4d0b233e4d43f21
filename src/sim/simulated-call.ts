import type { LoadReport, NodeId } from '../../protocols/types.ts';
import { isWorthHedging } from '../policy/hedge.ts';
import { MIN_RETRY_PAUSE_MS, RETRY_JITTER } from '../policy/retry-pause.ts';
import { bestKnown, estimateCompletion, NOBODY, type RoutingRequest } from '../policy/routing.ts';
import { type PeerCandidate, type SimulatedClient, VERSION } from './simulated-client.ts';
import { ELEMENTS } from './simulated-node.ts';
import type { Outcome } from './tally.ts';
import type { Arrival } from './traffic.ts';

/** Bytes of a request: its path takes no time beside the round trip. */
const BODY_BYTES = 4;

export interface SimulatedCallInit {
  readonly client: SimulatedClient;
  readonly arrival: Arrival;
  readonly deadlineMs: number;
  /** Called once. */
  readonly onEnd: (outcome: Outcome) => void;
}

interface Sent {
  readonly choice: PeerCandidate;
  readonly sentAtMs: number;
  /** Ends this client's part in it, and takes it back where it still waits. */
  readonly end: () => void;
  takeBack: () => void;
}

/** One call on its way, as `src/client/routed-call.ts` sends it: probe, choose, hedge, and another node when one is busy. */
export class SimulatedCall {
  readonly #init: SimulatedCallInit;
  readonly #tried = new Set<NodeId>();
  readonly #sent = new Set<Sent>();
  #attempts = 0;
  #retryAfterMs = Number.POSITIVE_INFINITY;
  #ended = false;

  constructor(init: SimulatedCallInit) {
    this.#init = init;
  }

  start(): void {
    const { client, deadlineMs } = this.#init;
    client.retries.called();
    client.hedges.called();
    client.events.after(deadlineMs, () => this.#end(null));
    this.#next();
  }

  #next(): void {
    if (this.#ended) return;
    const { client } = this.#init;
    client.probe(client.probePlan(this.#routing()), () => {
      if (this.#ended) return;
      const choice = client.choose(client.candidates(), this.#routing());
      if (choice === undefined) this.#nextRound();
      else if (this.#attempts > 0 && !client.retries.take(client.events.nowMs)) {
        client.events.after(client.retries.waitMs(client.events.nowMs), () => this.#next());
      } else this.#attempt(choice);
    });
  }

  #attempt(choice: PeerCandidate): void {
    const { client } = this.#init;
    this.#attempts += 1;
    const { totalMs } = estimateCompletion(choice, BODY_BYTES, bestKnown([choice]));
    const sent = this.#send(choice);
    const afterMs = client.hedgeTimes.afterMs(VERSION, BODY_BYTES, totalMs);
    if (afterMs !== null) client.events.after(afterMs, () => this.#hedge(sent));
  }

  #hedge(first: Sent): void {
    const { client } = this.#init;
    if (!this.#sent.has(first) || this.#sent.size > 1) return;
    const tried = new Set([...this.#tried, first.choice.node]);
    const second = client.choose(client.candidates(), { ...this.#routing(), tried });
    if (second === undefined || !isWorthHedging(second, BODY_BYTES)) return;
    if (client.hedges.take(client.events.nowMs)) this.#send(second);
  }

  #send(choice: PeerCandidate): Sent {
    const { client, arrival } = this.#init;
    const { peer, record } = choice;
    const { events } = client;
    record.reserve(events.nowMs);
    const sent: Sent = {
      choice,
      sentAtMs: events.nowMs,
      end: () => {
        if (this.#sent.delete(sent)) record.release();
      },
      takeBack: () => {},
    };
    this.#sent.add(sent);
    events.after(peer.roundTripMs / 2, () => {
      if (!this.#sent.has(sent)) return;
      const taken = peer.node.submit({
        caller: client.name,
        work: arrival.work,
        deadlineMs: this.#remainingMs(),
        onDone: ({ executeMs }) => {
          const { momentaryLoad: load } = peer.node;
          events.after(peer.roundTripMs / 2, () => this.#answered(sent, load, executeMs));
        },
      });
      if (typeof taken === 'function') sent.takeBack = taken;
      else {
        const { momentaryLoad: load } = peer.node;
        events.after(peer.roundTripMs / 2, () => this.#refused(sent, load, taken));
      }
    });
    return sent;
  }

  #answered(sent: Sent, load: LoadReport, executeMs: number): void {
    if (!this.#sent.has(sent)) return;
    const { client } = this.#init;
    const { nowMs } = client.events;
    const { record, peer } = sent.choice;
    client.measured(peer);
    record.report(load, nowMs, Math.max(0, record.open - 1));
    record.answered(ELEMENTS, executeMs);
    client.hedgeTimes.answered(VERSION, BODY_BYTES, nowMs - sent.sentAtMs);
    for (const other of this.#sent) {
      if (other.sentAtMs < sent.sentAtMs) {
        other.choice.record.outpaced(nowMs - other.sentAtMs, nowMs);
      }
    }
    this.#end(peer.index);
  }

  #refused(sent: Sent, load: LoadReport, retryAfterMs: number): void {
    if (!this.#sent.has(sent)) return;
    const { record, node } = sent.choice;
    record.report(load, this.#init.client.events.nowMs, Math.max(0, record.open - 1));
    this.#retryAfterMs = Math.min(this.#retryAfterMs, retryAfterMs);
    this.#tried.add(node);
    sent.end();
    if (this.#sent.size === 0) this.#next();
  }

  /** All were busy: again when the first of them said. */
  #nextRound(): void {
    const { client } = this.#init;
    const waitMs = Math.max(MIN_RETRY_PAUSE_MS, Math.min(this.#retryAfterMs, 1e6));
    if (waitMs >= this.#remainingMs()) return this.#end(null);
    client.events.after(waitMs * (1 + RETRY_JITTER * client.random()), () => {
      this.#tried.clear();
      this.#retryAfterMs = Number.POSITIVE_INFINITY;
      this.#next();
    });
  }

  #end(node: number | null): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const sent of this.#sent) {
      sent.end();
      this.#takeBack(sent);
    }
    const { arrival, client, onEnd } = this.#init;
    const { atMs, work } = arrival;
    onEnd({ atMs, work, node, latencyMs: client.events.nowMs - atMs });
  }

  /** News of it has to travel; where the request has begun meanwhile it runs to its end. */
  #takeBack(sent: Sent): void {
    const { events } = this.#init.client;
    events.after(sent.choice.peer.roundTripMs / 2, () => sent.takeBack());
  }

  #remainingMs(): number {
    const { arrival, client, deadlineMs } = this.#init;
    return arrival.atMs + deadlineMs - client.events.nowMs;
  }

  #routing(): RoutingRequest {
    return {
      bodyBytes: BODY_BYTES,
      remainingMs: this.#remainingMs(),
      tried: this.#tried,
      failedOwners: NO_OWNERS,
      avoid: NOBODY,
      affinity: undefined,
    };
  }
}

const NO_OWNERS: RoutingRequest['failedOwners'] = new Set();
