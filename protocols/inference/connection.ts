import type { Stream } from '@libp2p/interface';
import type { Frame } from '../codec/frame.ts';
import { MAX_PAYLOAD_BYTES } from '../codec/frame.ts';
import { FrameStream } from '../codec/frame-stream.ts';
import {
  BusyError,
  ConnectionError,
  InvalidMessageError,
  isSwarmError,
  LimitError,
} from '../errors.ts';
import { IdTable } from '../id-table.ts';
import {
  MAX_BODY_BYTES,
  MAX_FRAME_BYTES,
  MAX_REQUESTS_PER_STREAM,
  UNSOLICITED_BODY_BYTES,
} from '../limits.ts';
import { errorFromFailure, STATUS } from '../status.ts';
import type { NamedTensor } from '../tensor.ts';
import type { AbortOptions, LoadReport, VersionCid } from '../types.ts';
import { bodyBytesOf, describeTensors } from './descriptor.ts';
import { FRAME } from './frame-type.ts';
import {
  decodeCredit,
  decodeFailure,
  decodeResponse,
  encodeCredit,
  encodeRequest,
  type ResponseHeader,
} from './message.ts';
import { HeaderMemory } from './header-memory.ts';
import { PeerSilence } from '../peer-silence.ts';
import { Pings } from './pings.ts';
import { TensorReceiver, TensorSender } from './tensor-body.ts';

/** Bytes of a response's body that the node may send unasked: no round trip for what nearly every model answers. */
const RESPONSE_CREDIT_BYTES = 4 * 1024 * 1024;

const CLOSE_TIMEOUT_MS = 2_000;

const EMPTY = new Uint8Array();

/** One call of a model, as the node is asked for it. */
export interface InferenceRequest {
  readonly version: VersionCid;
  /** Milliseconds the caller gives the node. */
  readonly deadlineMs: number;
  /** 0 to 255, higher goes first in the node's queue. */
  readonly priority: number;
  /** W3C trace context; '' for none. */
  readonly traceparent: string;
  /** What tracing systems keep beside it. @default nothing */
  readonly tracestate?: string | undefined;
  /** Names of the outputs wanted; empty for all. */
  readonly outputs: readonly string[];
  /** Not to be written to until the call settles. */
  readonly inputs: readonly NamedTensor[];
  /** Asks for a signed receipt, in which it stands: 16 bytes that no other request has. @default none is asked for */
  readonly receiptNonce?: Uint8Array | undefined;
  /** Whether a node has counted it before. @default false */
  readonly again?: boolean | undefined;
}

export interface InferenceResponse {
  readonly outputs: readonly NamedTensor[];
  readonly load: LoadReport;
  readonly queueMs: number;
  readonly executeMs: number;
  readonly releaseSequence: number;
  /** The receipt that came with it, not checked yet. */
  readonly receipt?: Uint8Array | undefined;
}

/** Bytes of one request's tensors, or of its response's, that have gone over the wire. */
export interface Transfer {
  readonly direction: 'request' | 'response';
  readonly bytes: number;
  readonly totalBytes: number;
}

export type TransferListener = (transfer: Transfer) => void;

export interface InferenceConnectionInit {
  /** Milliseconds without a sign of life, while an answer is waited for, until the node counts as gone. @default 3000 */
  readonly silenceTimeoutMs?: number | undefined;
  /** Bytes of one response's tensors. @default MAX_BODY_BYTES of docs/limits.md */
  readonly maxResponseBytes?: number | undefined;
  /** Hears how many milliseconds each pong took. */
  readonly onRoundTrip?: ((ms: number) => void) | undefined;
  /** Hears the loads that {@link InferenceConnection.measure} asked for. */
  readonly onLoad?: ((version: VersionCid, load: LoadReport) => void) | undefined;
  /** Hears that the node fell silent, after the stream was reset: nothing comes over what leads to it. */
  readonly onSilent?: (() => void) | undefined;
}

export interface SendOptions extends AbortOptions {
  /** Called when the answer begins to come, and for each further piece of it. */
  readonly onOutput?: (() => void) | undefined;
  /** Hears of each piece of a body that leaves or comes; must not throw. */
  readonly onTransfer?: TransferListener | undefined;
}

interface Pending {
  readonly onOutput: (() => void) | undefined;
  readonly sender: TensorSender | undefined;
  readonly onTransfer: TransferListener | undefined;
  readonly resolve: (response: InferenceResponse) => void;
  readonly reject: (error: unknown) => void;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: () => void;
  /** The response once its header is there, and what is still missing of its body. */
  header: ResponseHeader | undefined;
  receiver: TensorReceiver | undefined;
  /** Bytes of the response's body that were granted so far. */
  grantedBytes: number;
}

/** The asking end of one long-lived stream to a node: many requests at once, each answered or failed on its own. */
export class InferenceConnection {
  readonly #frames: FrameStream;
  readonly #maxResponseBytes: number;
  readonly #pending = new IdTable<Pending>();
  readonly #memory = new HeaderMemory();
  readonly #silence: PeerSilence;
  readonly #pings: Pings;
  readonly #closeListeners: (() => void)[] = [];
  #lastId = 0;
  /** Bytes that may still come of requests that were taken back: their answers may have been on the way. */
  #crossingBytes = 0;
  #failure: Error | undefined;

  constructor(stream: Stream, init: InferenceConnectionInit = {}) {
    this.#maxResponseBytes = init.maxResponseBytes ?? MAX_BODY_BYTES;
    this.#frames = new FrameStream(stream, {
      onFrame: (frame) => this.#receive(frame),
      divisibleType: FRAME.data,
      onEnd: (error) => this.#end(error),
    });
    this.#pings = new Pings({
      send: (payload) => this.#frames.send(FRAME.ping, 0, payload),
      onRoundTrip: init.onRoundTrip,
      onLoad: init.onLoad,
    });
    this.#silence = new PeerSilence({
      timeoutMs: init.silenceTimeoutMs,
      ping: () => this.#pings.ping(),
      onSilent: (ms) => {
        this.#frames.abort(new ConnectionError(`node sent nothing for ${ms} ms`));
        init.onSilent?.();
      },
    });
  }

  /** Requests that are not answered yet. */
  get inFlight(): number {
    return this.#pending.size;
  }

  /** Milliseconds for which a ping has had no pong; 0 when none is owed. */
  get owedMs(): number {
    const { owedSinceMs } = this.#pings;
    return owedSinceMs === undefined ? 0 : performance.now() - owedSinceMs;
  }

  /** Calls back once no request can be sent any more. */
  onClose(listener: () => void): void {
    if (this.#failure === undefined) this.#closeListeners.push(listener);
    else listener();
  }

  /**
   * Sends one request and resolves with the node's answer. An abort takes the request back and rejects with its reason.
   *
   * @throws the node's typed refusal or failure; `details.load` says how busy it was.
   * @throws {ERR_CONNECTION} when the stream ends or the node falls silent; {ERR_INVALID_MESSAGE} when it breaks the protocol.
   * @throws {ERR_LIMIT} when request or response is larger than the bounds; {ERR_BUSY} when too many requests are open.
   */
  infer(request: InferenceRequest, options: SendOptions = {}): Promise<InferenceResponse> {
    const { signal, onOutput, onTransfer } = options;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#pending.size >= MAX_REQUESTS_PER_STREAM) {
        throw new BusyError(`${MAX_REQUESTS_PER_STREAM} requests to this node are open`, 10);
      }
      const id = this.#nextId();
      const sender = this.#send(id, request, onTransfer);
      const onAbort = (): void => this.#cancel(id, signal?.reason);
      signal?.addEventListener('abort', onAbort);
      this.#pending.set(id, {
        onOutput,
        sender,
        onTransfer,
        resolve,
        reject,
        signal,
        onAbort,
        header: undefined,
        receiver: undefined,
        grantedBytes: RESPONSE_CREDIT_BYTES,
      });
      this.#silence.watch();
    });
  }

  /**
   * Measures the round trip, for `onRoundTrip` to hear, and how busy a version is, for `onLoad`, when one is named. Resolves
   * when the node has said so, or when it will not; never rejects. What is being measured is not asked for twice.
   */
  async measure(version?: VersionCid): Promise<void> {
    return this.#pings.ask(version);
  }

  /** Ends the stream; requests that are open fail. Never rejects. */
  async close(): Promise<void> {
    const closing = this.#frames.close(AbortSignal.timeout(CLOSE_TIMEOUT_MS));
    this.#end(new ConnectionError('inference stream was closed here'));
    await closing;
  }

  #nextId(): number {
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#lastId === 0 || this.#pending.has(this.#lastId));
    return this.#lastId;
  }

  /**
   * Sends the header, and the body beside it when it is small; else returns what sends it: the first bytes at once, the rest as
   * the node grants credit.
   */
  #send(
    id: number,
    request: InferenceRequest,
    onTransfer: TransferListener | undefined,
  ): TensorSender | undefined {
    const inputs = describeTensors(request.inputs);
    const bodyBytes = bodyBytesOf(inputs);
    const header = encodeRequest({
      ...request,
      inputs,
      responseCredit: RESPONSE_CREDIT_BYTES,
    });
    if (header.byteLength > MAX_PAYLOAD_BYTES) {
      throw new LimitError(
        `names and shapes of the request take ${header.byteLength} bytes, expected at most ${MAX_PAYLOAD_BYTES}`,
      );
    }
    if (bodyBytes <= UNSOLICITED_BODY_BYTES && header.byteLength + bodyBytes <= MAX_PAYLOAD_BYTES) {
      const body = request.inputs.map(({ tensor }) => tensor.bytes);
      this.#frames.send(FRAME.request, id, header, ...body);
      onTransfer?.({ direction: 'request', bytes: bodyBytes, totalBytes: bodyBytes });
      return undefined;
    }
    this.#frames.send(FRAME.request, id, header);
    const sender = new TensorSender(id, request.inputs, UNSOLICITED_BODY_BYTES, (bytes) => {
      this.#silence.heard();
      onTransfer?.({ direction: 'request', bytes, totalBytes: bodyBytes });
    });
    this.#frames.sendBody(sender);
    return sender;
  }

  #receive({ type, id, payload }: Frame): void {
    this.#silence.heard();
    const pending = this.#pending.get(id);
    switch (type) {
      case FRAME.pong:
        return this.#pings.ponged(payload);
      case FRAME.response:
        return pending ? this.#begin(id, pending, payload) : this.#crossed(id, payload);
      case FRAME.data:
        return pending ? this.#data(id, pending, payload) : this.#crossed(id, payload);
      case FRAME.credit:
        return this.#granted(pending, decodeCredit(payload));
      case FRAME.failure:
        return pending ? this.#fail(id, pending, payload) : this.#crossed(id, payload);
      default:
        throw new InvalidMessageError(`node sent a frame of type ${type}`);
    }
  }

  #granted(pending: Pending | undefined, bytes: number): void {
    pending?.sender?.grant(bytes);
    this.#frames.pump();
  }

  /** An answer that crossed a cancel on its way goes to nobody; one that was never asked for breaks the protocol. */
  #crossed(id: number, payload: Uint8Array): void {
    this.#crossingBytes -= Math.max(1, payload.byteLength);
    if (this.#crossingBytes >= 0 && id <= this.#lastId) return;
    throw new InvalidMessageError(
      `node sent ${payload.byteLength} bytes for request ${id}, which is not open`,
    );
  }

  #begin(id: number, pending: Pending, payload: Uint8Array): void {
    if (pending.header !== undefined) {
      throw new InvalidMessageError(`node answered request ${id} twice`);
    }
    const { header, inlineBody } = decodeResponse(payload, this.#memory);
    let bodyBytes: number;
    try {
      bodyBytes = bodyBytesOf(header.outputs);
      if (bodyBytes > this.#maxResponseBytes) {
        throw new LimitError(
          `response has ${bodyBytes} bytes of tensors, expected at most ${this.#maxResponseBytes}`,
        );
      }
    } catch (error) {
      // A shape that its bytes cannot fill is the node's fault, a size past our bound the model's.
      return this.#cancel(id, isLimit(error) ? error : brokenResponse(error));
    }
    pending.header = header;
    pending.receiver = new TensorReceiver(header.outputs);
    this.#data(id, pending, inlineBody);
  }

  #data(id: number, pending: Pending, bytes: Uint8Array): void {
    const { header, receiver } = pending;
    if (header === undefined || receiver === undefined) {
      throw new InvalidMessageError(`node sent a body for request ${id} before its header`);
    }
    receiver.push(bytes);
    pending.onOutput?.();
    pending.onTransfer?.({
      direction: 'response',
      bytes: receiver.receivedBytes,
      totalBytes: receiver.totalBytes,
    });
    if (receiver.complete) return this.#finish(id, pending, header, receiver);
    // At half, so that the node never waits for us while we keep up. A frame is smaller than that, so bytes that were not
    // granted cannot be told from others: what bounds them is the size that the header said.
    if (pending.grantedBytes - receiver.receivedBytes > RESPONSE_CREDIT_BYTES / 2) return;
    pending.grantedBytes += RESPONSE_CREDIT_BYTES;
    this.#frames.send(FRAME.credit, id, encodeCredit(RESPONSE_CREDIT_BYTES));
  }

  #finish(id: number, pending: Pending, header: ResponseHeader, receiver: TensorReceiver): void {
    let outputs: NamedTensor[];
    try {
      outputs = receiver.tensors();
    } catch (error) {
      return this.#settle(id, pending).reject(brokenResponse(error));
    }
    const { load, queueMs, executeMs, releaseSequence, receipt } = header;
    const response = { outputs, load, queueMs, executeMs, releaseSequence, receipt };
    this.#settle(id, pending).resolve(response);
  }

  #fail(id: number, pending: Pending, payload: Uint8Array): void {
    const { failure, load } = decodeFailure(payload);
    // This side has not cancelled, or the request would not be pending: to its caller it is a node that gave up.
    const error =
      failure.status === STATUS.cancelled
        ? new ConnectionError('node gave the request up', { details: { load, remote: true } })
        : errorFromFailure(failure, { load });
    this.#settle(id, pending).reject(error);
  }

  #cancel(id: number, reason: unknown): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    const { grantedBytes, receiver } = pending;
    this.#crossingBytes += grantedBytes - (receiver?.receivedBytes ?? 0) + MAX_FRAME_BYTES;
    this.#frames.send(FRAME.cancel, id, EMPTY);
    this.#settle(id, pending).reject(reason);
  }

  /** Forgets a request; returns it, to be told how it ended. */
  #settle(id: number, pending: Pending): Pending {
    this.#pending.delete(id);
    if (pending.sender !== undefined) this.#frames.dropBody(id);
    if (this.#pending.size === 0) this.#silence.rest();
    pending.signal?.removeEventListener('abort', pending.onAbort);
    return pending;
  }

  #end(error: Error | undefined): void {
    if (this.#failure !== undefined) return;
    this.#failure = error ?? new ConnectionError('node ended the inference stream');
    for (const [id, pending] of this.#pending.entries())
      this.#settle(id, pending).reject(this.#failure);
    this.#silence.stop();
    this.#pings.end();
    for (const listener of this.#closeListeners.splice(0)) listener();
  }
}

function isLimit(error: unknown): boolean {
  return isSwarmError(error) && error.code === 'ERR_LIMIT';
}

function brokenResponse(cause: unknown): InvalidMessageError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new InvalidMessageError(`response is malformed: ${text}`, { cause });
}
