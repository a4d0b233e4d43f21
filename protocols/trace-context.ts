import { randomBytes } from 'node:crypto';

/**
 * Where in a trace something happens.
 *
 * @see https://www.w3.org/TR/trace-context/#traceparent-header
 */
export interface TraceContext {
  /** 16 bytes in hexadecimal, one for the whole life of a request. */
  readonly traceId: string;
  /** 8 bytes in hexadecimal, one for each part of it. */
  readonly spanId: string;
  /** False when whoever began the trace records nothing of it. */
  readonly sampled: boolean;
  /** What tracing systems on the way keep beside it, handed on as it came; undefined for nothing. */
  readonly state?: string | undefined;
}

/** Bytes of a `tracestate` that is handed on: as many as one that is no longer must be. */
export const MAX_TRACESTATE_BYTES = 512;

/** Members that are printable ASCII: what is in them is their systems' own. */
const TRACESTATE = /^[ -~]{1,512}$/;

/** Versions above 00 may have more behind these four; ff is none. */
const TRACEPARENT =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-[ -~]*)?$/;

/** The headers of HTTP, or gRPC's metadata, in which a context comes. */
export interface TraceHeaders {
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

/** The context that a caller sent; undefined when there is none or it is malformed: such a one is a stranger's text. */
export function parseTraceparent(text: string | undefined): TraceContext | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(text ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/**
 * The context of both headers. A state that is malformed or too long is dropped, and the context stays.
 *
 * @see https://www.w3.org/TR/trace-context/#tracestate-header
 */
export function parseTrace(headers: TraceHeaders): TraceContext | undefined {
  const context = parseTraceparent(headers.traceparent);
  const { tracestate = '' } = headers;
  return context && TRACESTATE.test(tracestate) ? { ...context, state: tracestate } : context;
}

/** As version 00, whichever the context came in. */
export function formatTraceparent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** A part of `parent`, or of a new trace, which is recorded, where there is none. */
export function childOf(parent: TraceContext | undefined): TraceContext {
  return {
    traceId: parent?.traceId ?? randomBytes(16).toString('hex'),
    spanId: randomBytes(8).toString('hex'),
    sampled: parent?.sampled ?? true,
    ...(parent?.state !== undefined && { state: parent.state }),
  };
}
