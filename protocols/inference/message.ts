import { ByteReader } from '../codec/byte-reader.ts';
import { ByteWriter } from '../codec/byte-writer.ts';
import { InvalidMessageError, LimitError } from '../errors.ts';
import {
  MAX_BODY_BYTES,
  MAX_NAME_BYTES,
  MAX_RECEIPT_BYTES,
  MAX_REMOTE_TEXT,
  MAX_TENSORS,
} from '../limits.ts';
import { cleanRemoteText, type WireFailure } from '../status.ts';
import { MAX_TRACESTATE_BYTES } from '../trace-context.ts';
import type { LoadReport, TensorDescriptor, VersionCid } from '../types.ts';
import { writeCount, writeDescriptors, writeName } from './descriptor.ts';
import { readExtension, writeExtension } from './extension.ts';
import { HeaderMemory } from './header-memory.ts';

/** Bytes of a version's CID in text. */
export const MAX_CID_BYTES = 128;

/** Bytes of a W3C `traceparent`; version 00 has 55. */
const MAX_TRACEPARENT_BYTES = 128;

/** Milliseconds a request may ask for: a day. */
export const MAX_DEADLINE_MS = 86_400_000;

/** Bytes of the nonce by which a request asks for a receipt. */
const RECEIPT_NONCE_BYTES = 16;

/** Numbers of the fields in the extension areas; never reused. */
const REQUEST_FIELD = { receiptNonce: 1, again: 2, tracestate: 3 } as const;
const RESPONSE_FIELD = { receipt: 1 } as const;

/** Of a field that says all by being there. */
const NOTHING = new Uint8Array();

/** UTF-8 bytes of a failure's message: its characters take up to four. */
const MAX_MESSAGE_BYTES = 4 * MAX_REMOTE_TEXT;

/** What precedes a request's body. */
export interface RequestHeader {
  readonly version: VersionCid;
  /** Milliseconds from now until the caller gives up, 1 to {@link MAX_DEADLINE_MS}. */
  readonly deadlineMs: number;
  /** 0 to 255, higher goes first. */
  readonly priority: number;
  /** W3C trace context; '' for none. */
  readonly traceparent: string;
  /** Names of the outputs wanted; empty for all. */
  readonly outputs: readonly string[];
  /** Bytes of a response's body that the caller takes before it grants more. */
  readonly responseCredit: number;
  readonly inputs: readonly TensorDescriptor[];
  /** Asks for a signed receipt, in which it stands: 16 bytes that no other request has. Undefined asks for none. */
  readonly receiptNonce?: Uint8Array | undefined;
  /** Sent before, to this node or another that has counted it: it is not counted as demand once more. @default false */
  readonly again?: boolean | undefined;
  /** W3C `tracestate`, as it came; undefined for none. */
  readonly tracestate?: string | undefined;
}

/** What precedes a response's body. */
export interface ResponseHeader {
  /** Of the version, as of now. */
  readonly load: LoadReport;
  /** Milliseconds the request waited. */
  readonly queueMs: number;
  /** Milliseconds inside the model. */
  readonly executeMs: number;
  /** Sequence of the newest release record that the node knows for the model; 0 for none. */
  readonly releaseSequence: number;
  readonly outputs: readonly TensorDescriptor[];
  /** The signed receipt that was asked for; whoever reads it checks it. */
  readonly receipt?: Uint8Array | undefined;
}

/** Why there is no response, and how busy the version is. */
export interface FailureMessage {
  readonly failure: WireFailure;
  readonly load: LoadReport;
}

/** A header and how many of the bytes after it are its body's. */
export interface Decoded<Header> {
  readonly header: Header;
  /** What followed the header in its frame, sharing memory with it: the whole body, or nothing. */
  readonly inlineBody: Uint8Array;
}

/** @throws {ERR_LIMIT} when a part is longer or more numerous than a node reads. */
export function encodeRequest(header: RequestHeader): Uint8Array {
  const writer = new ByteWriter();
  writer.text(header.version);
  writer.varint(Math.max(1, Math.min(MAX_DEADLINE_MS, Math.round(header.deadlineMs))));
  writer.uint8(header.priority);
  if (header.traceparent.length > MAX_TRACEPARENT_BYTES) {
    throw new LimitError(
      `traceparent has ${header.traceparent.length} characters, expected at most ${MAX_TRACEPARENT_BYTES}`,
    );
  }
  writer.text(header.traceparent);
  writeCount(writer, header.outputs.length);
  for (const name of header.outputs) writeName(writer, name);
  writer.varint(header.responseCredit);
  writeDescriptors(writer, header.inputs);
  const { receiptNonce, again, tracestate } = header;
  writeExtension(writer, [
    [REQUEST_FIELD.receiptNonce, receiptNonce],
    [REQUEST_FIELD.again, again === true ? NOTHING : undefined],
    [REQUEST_FIELD.tracestate, tracestate === undefined ? undefined : Buffer.from(tracestate)],
  ]);
  return writer.bytes;
}

/**
 * @param memory of the stream that it came on
 * @throws {ERR_INVALID_MESSAGE} when it is malformed or a part is out of bounds.
 */
export function decodeRequest(
  payload: Uint8Array,
  memory: HeaderMemory = new HeaderMemory(),
): Decoded<RequestHeader> {
  const reader = new ByteReader(payload, 'inference request');
  const version = memory.version(reader, MAX_CID_BYTES);
  const deadlineMs = reader.varint('deadline', MAX_DEADLINE_MS);
  if (deadlineMs === 0) throw new InvalidMessageError('inference request: deadline is 0');
  const priority = reader.uint8('priority');
  const traceparent = reader.text('traceparent', MAX_TRACEPARENT_BYTES);
  const wanted = reader.varint('number of outputs', MAX_TENSORS);
  const outputs: string[] = [];
  while (outputs.length < wanted) outputs.push(reader.text('output', MAX_NAME_BYTES));
  const responseCredit = reader.varint('response credit', MAX_BODY_BYTES);
  const inputs = memory.descriptors(reader);
  const extension = readExtension(reader);
  const receiptNonce = extension.get(REQUEST_FIELD.receiptNonce);
  if (receiptNonce !== undefined && receiptNonce.byteLength !== RECEIPT_NONCE_BYTES) {
    throw new InvalidMessageError(
      `inference request: receipt nonce has ${receiptNonce.byteLength} bytes, expected ${RECEIPT_NONCE_BYTES}`,
    );
  }
  const request = { version, deadlineMs, priority, traceparent, outputs, responseCredit, inputs };
  const state = extension.get(REQUEST_FIELD.tracestate);
  // Too long a one is of no use to anybody and no reason to refuse a request.
  const kept = state !== undefined && state.byteLength <= MAX_TRACESTATE_BYTES;
  const header = {
    ...request,
    ...(receiptNonce === undefined ? {} : { receiptNonce }),
    ...(extension.has(REQUEST_FIELD.again) ? { again: true } : {}),
    ...(kept ? { tracestate: Buffer.from(state).toString('latin1') } : {}),
  };
  return { header, inlineBody: bodyOf(reader) };
}

/** @throws {ERR_LIMIT} when the model has more outputs, or longer names, than a caller reads. */
export function encodeResponse(header: ResponseHeader): Uint8Array {
  const writer = new ByteWriter();
  writeLoad(writer, header.load);
  writer.varint(toMicros(header.queueMs));
  writer.varint(toMicros(header.executeMs));
  writer.varint(header.releaseSequence);
  writeDescriptors(writer, header.outputs);
  writeExtension(writer, [[RESPONSE_FIELD.receipt, header.receipt]]);
  return writer.bytes;
}

/**
 * @param memory of the stream that it came on
 * @throws {ERR_INVALID_MESSAGE} when it is malformed or a part is out of bounds.
 */
export function decodeResponse(
  payload: Uint8Array,
  memory: HeaderMemory = new HeaderMemory(),
): Decoded<ResponseHeader> {
  const reader = new ByteReader(payload, 'inference response');
  const load = readLoad(reader);
  const queueMs = reader.varint('queue time') / 1000;
  const executeMs = reader.varint('execution time') / 1000;
  const releaseSequence = reader.varint('release sequence');
  const outputs = memory.descriptors(reader);
  const receipt = readExtension(reader).get(RESPONSE_FIELD.receipt);
  if (receipt !== undefined && receipt.byteLength > MAX_RECEIPT_BYTES) {
    throw new InvalidMessageError(
      `inference response: receipt has ${receipt.byteLength} bytes, expected at most ${MAX_RECEIPT_BYTES}`,
    );
  }
  return {
    header: { load, queueMs, executeMs, releaseSequence, outputs, receipt },
    inlineBody: bodyOf(reader),
  };
}

export function encodeFailure({ failure, load }: FailureMessage): Uint8Array {
  const writer = new ByteWriter();
  writer.uint8(failure.status);
  writer.varint(failure.afterMs === null ? 0 : failure.afterMs + 1);
  writer.text(failure.message.slice(0, MAX_REMOTE_TEXT));
  writeLoad(writer, load);
  writeExtension(writer, []);
  return writer.bytes;
}

/** @throws {ERR_INVALID_MESSAGE} when it is malformed. */
export function decodeFailure(payload: Uint8Array): FailureMessage {
  const reader = new ByteReader(payload, 'inference failure');
  const status = reader.uint8('status');
  const after = reader.varint('time to come back');
  const message = cleanRemoteText(reader.text('message', MAX_MESSAGE_BYTES));
  const load = readLoad(reader);
  readExtension(reader);
  return { failure: { status, message, afterMs: after === 0 ? null : after - 1 }, load };
}

export function encodeCredit(bytes: number): Uint8Array {
  const writer = new ByteWriter();
  writer.varint(bytes);
  return writer.bytes;
}

/** @throws {ERR_INVALID_MESSAGE} when it is no number up to the largest body. */
export function decodeCredit(payload: Uint8Array): number {
  const reader = new ByteReader(payload, 'credit');
  const bytes = reader.varint('bytes', MAX_BODY_BYTES);
  if (reader.left > 0) throw new InvalidMessageError(`credit has ${reader.left} bytes too many`);
  return bytes;
}

export function writeLoad(
  writer: ByteWriter,
  { inFlight, queued, slots, serviceMs }: LoadReport,
): void {
  writer.varint(inFlight);
  writer.varint(queued);
  writer.varint(slots);
  writer.varint(serviceMs === null ? 0 : toMicros(serviceMs) + 1);
}

export function readLoad(reader: ByteReader): LoadReport {
  const inFlight = reader.varint('requests in flight');
  const queued = reader.varint('requests queued');
  const slots = reader.varint('slots');
  const service = reader.varint('service time');
  return { inFlight, queued, slots, serviceMs: service === 0 ? null : (service - 1) / 1000 };
}

function bodyOf(reader: ByteReader): Uint8Array {
  return reader.take('body', reader.left);
}

function toMicros(ms: number): number {
  return Math.max(0, Math.round(ms * 1000));
}
