import { ConfigError } from '../../protocols/errors.ts';
import type { Span, SpanAttributes, SpanSink } from './span.ts';

/** Spans that wait to be sent; further ones are lost. */
const MAX_WAITING = 4096;

/** Spans of one message. */
const MAX_BATCH = 512;

/** Milliseconds that spans wait for others to be sent with, and that sending may take. */
const BATCH_PAUSE_MS = 1_000;
const SEND_TIMEOUT_MS = 5_000;

/** UTF-16 units of a text of a span. */
const MAX_TEXT = 1024;

/** The numbers of OTLP. */
const KINDS = { internal: 1, server: 2, client: 3 } as const;
const STATUS_ERROR = 2;

export interface SpanExporterInit {
  /** Base address of an OpenTelemetry collector, such as `http://localhost:4318`. */
  readonly endpoint: string;
  /** What the spans say they are of. */
  readonly service: 'gpu-swarm-gateway' | 'gpu-swarm-node';
  readonly attributes: SpanAttributes;
  /** Told when spans could not be sent, with how many were lost by then: once until some are sent again. */
  readonly onFailure: (error: unknown, lost: number) => void;
}

/**
 * Sends spans to an OpenTelemetry collector, several at a time. What it cannot send is lost: nothing waits for it, and nobody's request
 * fails for it.
 *
 * @see https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
export class SpanExporter implements SpanSink {
  readonly #init: SpanExporterInit;
  readonly #url: URL;
  #waiting: Span[] = [];
  #sending: Promise<void> | undefined;
  #lost = 0;
  #told = false;
  /** Ends the pause before a message; undefined outside of one. */
  #wake: (() => void) | undefined;
  /** By `performance.now`: nothing is sent after it. */
  #endMs = Number.POSITIVE_INFINITY;

  /** @throws {ERR_CONFIG} when the endpoint is no address of HTTP. */
  constructor(init: SpanExporterInit) {
    this.#init = init;
    this.#url = parseEndpoint(init.endpoint);
  }

  add(span: Span): void {
    if (!span.context.sampled) return;
    if (this.#waiting.length >= MAX_WAITING) {
      this.#lost += 1;
      return;
    }
    this.#waiting.push(span);
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
  }

  /** Sends what waits, within the time that one message may take: who ends is not held up by a collector. */
  async stop(): Promise<void> {
    this.#endMs = Math.min(this.#endMs, performance.now() + SEND_TIMEOUT_MS);
    this.#wake?.();
    await this.#sending;
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#pause();
      const batch = this.#waiting.slice(0, MAX_BATCH);
      this.#waiting = this.#waiting.slice(MAX_BATCH);
      if (await this.#send(batch)) continue;
      if (this.#endMs === Number.POSITIVE_INFINITY) continue;
      this.#lost += this.#waiting.length;
      this.#waiting = [];
    }
  }

  /** Until there may be more, or there is no time left. */
  async #pause(): Promise<void> {
    if (this.#endMs !== Number.POSITIVE_INFINITY || this.#waiting.length >= MAX_BATCH) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, BATCH_PAUSE_MS);
      timer.unref();
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }

  /** False when they are lost. */
  async #send(batch: readonly Span[]): Promise<boolean> {
    const leftMs = Math.max(0, this.#endMs - performance.now());
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(this.#message(batch)),
        signal: AbortSignal.timeout(Math.min(SEND_TIMEOUT_MS, Math.ceil(leftMs))),
      });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`${this.#url.href} answers ${response.status}`);
      this.#told = false;
      return true;
    } catch (error) {
      this.#lost += batch.length;
      if (!this.#told) this.#init.onFailure(this.#explain(error), this.#lost);
      this.#told = true;
      return false;
    }
  }

  /** The platform's own words for a time that is up name neither who was asked nor for how long. */
  #explain(error: unknown): unknown {
    if (!(error instanceof DOMException)) return error;
    return new Error(`${this.#url.href} has not answered within ${SEND_TIMEOUT_MS} ms`);
  }

  #message(batch: readonly Span[]): object {
    const { service, attributes } = this.#init;
    return {
      resourceSpans: [
        {
          resource: { attributes: formatAttributes({ 'service.name': service, ...attributes }) },
          scopeSpans: [{ scope: { name: 'gpu-swarm' }, spans: batch.map(formatSpan) }],
        },
      ],
    };
  }
}

function parseEndpoint(endpoint: string): URL {
  const base = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (base === undefined || !/^https?:$/.test(base.protocol)) {
    throw new ConfigError(
      `--otlp is ${JSON.stringify(endpoint.slice(0, 200))}, expected an address such as http://localhost:4318`,
    );
  }
  return new URL(`${base.href.replace(/\/$/, '')}/v1/traces`);
}

function formatSpan({ name, kind, context, parentSpanId, attributes, error, ...times }: Span) {
  return {
    traceId: context.traceId,
    spanId: context.spanId,
    ...(context.state !== undefined && { traceState: context.state }),
    ...(parentSpanId !== undefined && { parentSpanId }),
    name,
    kind: KINDS[kind],
    startTimeUnixNano: nanoseconds(times.startMs),
    endTimeUnixNano: nanoseconds(times.endMs),
    attributes: formatAttributes(attributes),
    ...(error !== undefined && {
      status: { code: STATUS_ERROR, message: error.slice(0, MAX_TEXT) },
    }),
  };
}

/** More digits than a number has. */
function nanoseconds(ms: number): string {
  return String(BigInt(Math.round(ms * 1000)) * 1000n);
}

function formatAttributes(attributes: SpanAttributes): object[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: formatValue(value) }));
}

function formatValue(value: string | number | boolean): object {
  if (typeof value === 'string') return { stringValue: value.slice(0, MAX_TEXT) };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
