import { childOf, type TraceContext } from '../../protocols/trace-context.ts';

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** A part of a request's life. */
export interface Span {
  readonly name: string;
  /** Whether somebody else asked for it, it asks somebody else, or neither. */
  readonly kind: 'server' | 'client' | 'internal';
  readonly context: TraceContext;
  readonly parentSpanId: string | undefined;
  /** Milliseconds since the epoch, by the clock of this machine: only what is of one machine can be compared. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: SpanAttributes;
  /** Why it failed; undefined when it did not. */
  readonly error?: string | undefined;
}

/** Takes spans, and forgets those of traces that are not recorded. */
export interface SpanSink {
  add(span: Span): void;
}

/** Now, in milliseconds since the epoch, on a clock that never goes back. */
function spanNowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** A span that began and has not ended. */
export class OpenSpan {
  readonly context: TraceContext;
  readonly startMs = spanNowMs();
  readonly #sink: SpanSink | undefined;
  readonly #begun: Pick<Span, 'name' | 'kind' | 'parentSpanId'>;

  /** Of `parent`, or of a new trace. Where there is no sink it is a context and nothing more. */
  constructor(
    sink: SpanSink | undefined,
    { name, kind, parent }: Pick<Span, 'name' | 'kind'> & { parent: TraceContext | undefined },
  ) {
    this.#sink = sink;
    this.context = childOf(parent);
    this.#begun = { name, kind, parentSpanId: parent?.spanId };
  }

  /** Returns when that was, as of {@link Span.endMs}. */
  end(attributes: SpanAttributes, error?: string): number {
    const { context, startMs } = this;
    const endMs = spanNowMs();
    this.#sink?.add({ ...this.#begun, context, startMs, endMs, attributes, error });
    return endMs;
  }
}
