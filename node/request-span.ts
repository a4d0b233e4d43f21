import { isSwarmError } from '../protocols/errors.ts';
import { childOf, parseTrace, type TraceHeaders } from '../protocols/trace-context.ts';
import { OpenSpan, type SpanSink } from '../src/swarm/span.ts';
import type { Replica } from './replica/replica.ts';
import type { QueuedResult } from './scheduler/waiting-line.ts';

/**
 * A request's life on this node as a part of its caller's trace: `infer`, and in it `queue` and `execute`. A caller that sent no trace
 * is not traced, for nobody would look for it.
 */
export class RequestSpan {
  readonly #sink: SpanSink | undefined;
  readonly #span: OpenSpan | undefined;
  readonly #replica: Replica;

  constructor(sink: SpanSink | undefined, trace: TraceHeaders, replica: Replica) {
    this.#sink = sink;
    this.#replica = replica;
    const parent = sink === undefined ? undefined : parseTrace(trace);
    this.#span = parent && new OpenSpan(sink, { name: 'infer', kind: 'server', parent });
  }

  answered({ queueMs, executeMs, together }: Omit<QueuedResult, 'outputs'>): void {
    const span = this.#span;
    if (span === undefined) return;
    const endMs = span.end(this.#attributes);
    // The model's process took the one time, this one the other, by when it heard of it: together they may be more than the whole.
    const doneMs = Math.min(endMs, span.startMs + queueMs + executeMs);
    const beganMs = Math.max(span.startMs, doneMs - executeMs);
    const part = { kind: 'internal', parentSpanId: span.context.spanId } as const;
    this.#sink?.add({
      ...{ ...part, name: 'queue', context: childOf(span.context), attributes: {} },
      ...{ startMs: span.startMs, endMs: beganMs },
    });
    this.#sink?.add({
      ...{ ...part, name: 'execute', context: childOf(span.context) },
      ...{ startMs: beganMs, endMs: doneMs },
      attributes: { 'swarm.batch.requests': together },
    });
  }

  get #attributes(): Readonly<Record<string, string>> {
    const { publisher, name, cid } = this.#replica.origin;
    return { 'swarm.model': `${publisher}/${name}`, 'swarm.version': cid };
  }

  failed(error: unknown): void {
    this.#span?.end(this.#attributes, isSwarmError(error) ? error.code : 'cancelled');
  }
}
