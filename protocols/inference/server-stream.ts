import type { Stream } from '@libp2p/interface';
import type { ReceivedFrame } from '../codec/frame.ts';
import { MAX_PAYLOAD_BYTES } from '../codec/frame.ts';
import { FrameStream } from '../codec/frame-stream.ts';
import {
  BusyError,
  ConnectionError,
  DeadlineError,
  InvalidMessageError,
  isSwarmError,
  LimitError,
} from '../errors.ts';
import { IdTable } from '../id-table.ts';
import {
  FRAME_TIMEOUT_MS,
  MAX_REQUESTS_PER_STREAM,
  PAUSE_UNSENT_BYTES,
  UNSOLICITED_BODY_BYTES,
} from '../limits.ts';
import { failureFromError } from '../status.ts';
import type { VersionCid } from '../types.ts';
import type { BodyBudget } from './body-budget.ts';
import type { CallerAccount } from './caller-accounts.ts';
import { Cancellation } from './cancellation.ts';
import { bodyBytesOf, describeTensors } from './descriptor.ts';
import { FRAME } from './frame-type.ts';
import type { Admission, ExecutionResult, InferenceHandler } from './handler.ts';
import { HeaderMemory } from './header-memory.ts';
import { IncomingBody } from './incoming-body.ts';
import {
  decodeCredit,
  decodeRequest,
  encodeCredit,
  encodeFailure,
  encodeResponse,
  type RequestHeader,
} from './message.ts';
import { decodePing, encodePong } from './pings.ts';
import { TensorSender } from './tensor-body.ts';

/** Bytes of answers, beside bodies, that may wait for a caller that does not read; all headers of a full stream have less. */
const MAX_UNSENT_BYTES = 4 * 1024 * 1024;

/** Bytes of a body that a refusal costs as much as dropping. */
const REFUSAL_BYTES = 1024;

/** Milliseconds after which a caller that was too slow for others who waited may ask again; another node may have room at once. */
const SLOW_RETRY_MS = 5_000;

const NOTHING_HELD = (): void => {};

export interface ServerStreamInit {
  readonly budget: BodyBudget;
  /** Of the caller, over all its streams. */
  readonly account: CallerAccount;
  readonly bodyTimeoutMs?: number | undefined;
  readonly frameTimeoutMs?: number | undefined;
  /** Called once when the stream has ended; the error is undefined after a clean end. */
  readonly onEnd: (error: Error | undefined) => void;
}

/**
 * A request from its header to the end of its answer.
 *
 *     waiting (for room) ──▶ receiving ──▶ executing ──▶ answering ──▶ gone
 *
 * A cancel, a failure or the end of the stream leads to gone from everywhere.
 */
interface OpenRequest {
  readonly header: RequestHeader;
  readonly admission: Admission;
  readonly cancellation: Cancellation;
  /** When the caller gives up, by `performance.now()`. */
  readonly deadlineAtMs: number;
  readonly body: IncomingBody;
  /** Bytes of the body that are, or may come, here without room of the budget. */
  unaskedBytes: number;
  /** Bytes of the answer that the caller's account has as waiting. */
  untakenBytes: number;
  sender: TensorSender | undefined;
  /** Ends the wait for the body, at the deadline or when nothing of it comes, and for the answer to be taken. */
  timer: NodeJS.Timeout | undefined;
  /** Gives back the room of the body, or its place in the line. */
  release: () => void;
}

/** Answers what comes on a stream until it ends. */
export function serveInference(
  stream: Stream,
  caller: string,
  handler: InferenceHandler,
  init: ServerStreamInit,
): void {
  // The stream's listeners keep it: nobody else needs to.
  void new ServerStream(stream, caller, handler, init);
}

class ServerStream {
  readonly #caller: string;
  readonly #handler: InferenceHandler;
  readonly #init: ServerStreamInit;
  readonly #account: CallerAccount;
  readonly #frames: FrameStream;
  readonly #open = new IdTable<OpenRequest>();
  readonly #memory = new HeaderMemory();

  constructor(stream: Stream, caller: string, handler: InferenceHandler, init: ServerStreamInit) {
    this.#caller = caller;
    this.#handler = handler;
    this.#init = init;
    this.#account = init.account;
    this.#frames = new FrameStream(stream, {
      onFrame: (frame) => this.#receive(frame),
      divisibleType: FRAME.data,
      onEnd: (error) => this.#end(error),
      frameTimeoutMs: init.frameTimeoutMs,
      maxUnsentBytes: MAX_UNSENT_BYTES,
      pauseUnsentBytes: PAUSE_UNSENT_BYTES,
    });
  }

  #receive({ type, id, payload, owned }: ReceivedFrame): void {
    switch (type) {
      case FRAME.request:
        return this.#request(id, payload, owned);
      case FRAME.data:
        return this.#data(id, payload);
      case FRAME.credit:
        this.#open.get(id)?.sender?.grant(decodeCredit(payload));
        return this.#frames.pump();
      case FRAME.cancel:
        return this.#cancel(id, new DOMException('cancelled by the caller', 'AbortError'));
      case FRAME.ping:
        return this.#pong(id, decodePing(payload));
      default:
        throw new InvalidMessageError(`caller sent a frame of type ${type}`);
    }
  }

  #pong(id: number, version: VersionCid | undefined): void {
    const load = version === undefined ? undefined : this.#handler.load(version);
    this.#frames.send(FRAME.pong, id, encodePong(load));
  }

  /** @param owned whether the body beside the header may be kept as it is */
  #request(id: number, payload: Uint8Array, owned: boolean): void {
    if (this.#open.has(id)) throw new InvalidMessageError(`request ${id} is open already`);
    if (this.#open.size >= MAX_REQUESTS_PER_STREAM) {
      throw new InvalidMessageError(
        `caller has more than ${MAX_REQUESTS_PER_STREAM} requests open on one stream`,
      );
    }
    const { header, inlineBody } = decodeRequest(payload, this.#memory);
    const inline = inlineBody.byteLength > 0;
    let bodyBytes: number;
    let unaskedBytes: number;
    let admission: Admission;
    try {
      bodyBytes = bodyBytesOf(header.inputs);
      unaskedBytes = inline ? inlineBody.byteLength : Math.min(bodyBytes, UNSOLICITED_BODY_BYTES);
      this.#account.check(unaskedBytes);
      admission = this.#handler.admit(header, { caller: this.#caller, bodyBytes });
    } catch (error) {
      this.#slow(REFUSAL_BYTES + inlineBody.byteLength);
      return this.#fail(id, header, error);
    }
    if (inline && inlineBody.byteLength !== bodyBytes) {
      throw new InvalidMessageError(
        `request has ${inlineBody.byteLength} bytes of body beside its header, expected all ${bodyBytes} or none`,
      );
    }
    const request: OpenRequest = {
      header,
      admission,
      cancellation: new Cancellation(),
      deadlineAtMs: performance.now() + header.deadlineMs,
      body: new IncomingBody(header.inputs, bodyBytes),
      unaskedBytes,
      untakenBytes: 0,
      sender: undefined,
      timer: undefined,
      release: NOTHING_HELD,
    };
    this.#open.set(id, request);
    this.#account.begin(unaskedBytes);
    // A body beside its header is here already, and no larger than a frame: it needs no room of the budget.
    if (bodyBytes === 0 || inline) {
      request.body.makeRoom();
      return this.#body(id, request, inlineBody, owned);
    }
    this.#awaitBody(id, request);
    request.release = this.#init.budget.reserve(
      bodyBytes,
      () => {
        const furtherBytes = request.body.makeRoom();
        this.#account.granted(request.unaskedBytes);
        request.unaskedBytes = 0;
        if (furtherBytes > 0) this.#frames.send(FRAME.credit, id, encodeCredit(furtherBytes));
        this.#proceed(id, request);
      },
      {
        caller: this.#caller,
        receivedBytes: () => request.body.receivedBytes,
        tooSlow: (rate, minimum) => this.#fail(id, header, tooSlow(rate, minimum)),
      },
    );
  }

  #data(id: number, payload: Uint8Array): void {
    const request = this.#open.get(id);
    // What was granted may be on its way when the request has failed already.
    if (request === undefined) return this.#slow(payload.byteLength);
    if (payload.byteLength === 0) throw new InvalidMessageError('caller sent data without bytes');
    this.#body(id, request, payload);
  }

  /** Reads a caller no faster that sends and sends what is refused: others are not to wait for that. */
  #slow(refusedBytes: number): void {
    const restMs = this.#account.refused(refusedBytes, performance.now());
    if (restMs > 0) this.#frames.rest(restMs);
  }

  #body(id: number, request: OpenRequest, bytes: Uint8Array, owned = false): void {
    request.body.push(bytes, owned);
    this.#proceed(id, request);
  }

  #proceed(id: number, request: OpenRequest): void {
    if (!request.body.complete) return this.#awaitBody(id, request);
    clearTimeout(request.timer);
    void this.#execute(id, request);
  }

  /** Room must be found and the body come before the caller's own deadline; once there is room, never pausing for long. */
  #awaitBody(id: number, request: OpenRequest): void {
    const { body, header, deadlineAtMs } = request;
    const leftMs = Math.max(0, deadlineAtMs - performance.now());
    const pauseMs = this.#init.bodyTimeoutMs ?? FRAME_TIMEOUT_MS;
    const late = (): string => {
      if (!body.hasRoom) return `no room for the body within ${header.deadlineMs} ms`;
      const found = `${body.receivedBytes} of ${body.creditBytes} bytes of the body came`;
      return leftMs <= pauseMs
        ? `${found} within ${header.deadlineMs} ms`
        : `${found}, then none for ${pauseMs} ms`;
    };
    clearTimeout(request.timer);
    request.timer = setTimeout(
      () => this.#fail(id, header, new DeadlineError(late(), 'queue')),
      body.hasRoom ? Math.min(leftMs, pauseMs) : leftMs,
    ).unref();
  }

  async #execute(id: number, request: OpenRequest): Promise<void> {
    try {
      const result = await request.admission.execute(request.body.tensors(), request.cancellation);
      if (this.#open.get(id) === request) this.#answer(id, request, result);
    } catch (error) {
      if (this.#open.get(id) === request) this.#fail(id, request.header, error);
    }
  }

  #answer(id: number, request: OpenRequest, result: ExecutionResult): void {
    const outputs = describeTensors(result.outputs);
    const header = encodeResponse({ ...result, outputs });
    const bodyBytes = bodyBytesOf(outputs);
    if (header.byteLength > MAX_PAYLOAD_BYTES) {
      throw new LimitError(
        `names and shapes of the outputs take ${header.byteLength} bytes, expected at most ${MAX_PAYLOAD_BYTES}`,
      );
    }
    request.release();
    const small =
      bodyBytes <= UNSOLICITED_BODY_BYTES && header.byteLength + bodyBytes <= MAX_PAYLOAD_BYTES;
    // To a caller that does not keep up it goes as a body, which waits: the request stays open, and of those there is a bound.
    if (bodyBytes === 0 || (small && !this.#frames.congested)) {
      const body = result.outputs.map(({ tensor }) => tensor.bytes);
      this.#frames.send(FRAME.response, id, header, ...body);
      return this.#close(id, request);
    }
    this.#account.hold(bodyBytes);
    request.untakenBytes = bodyBytes;
    this.#frames.send(FRAME.response, id, header);
    const { responseCredit } = request.header;
    const sender = new TensorSender(id, result.outputs, responseCredit, () => {
      if (sender.done) this.#close(id, request);
      else request.timer?.refresh();
    });
    request.sender = sender;
    request.timer = this.#awaitTaking(id, request);
    this.#frames.sendBody(sender);
  }

  /** An answer holds its memory: who grants no credit for it, or does not read, loses it. */
  #awaitTaking(id: number, { header, untakenBytes }: OpenRequest): NodeJS.Timeout {
    const pauseMs = this.#init.bodyTimeoutMs ?? FRAME_TIMEOUT_MS;
    const late = `nothing was taken of an answer of ${untakenBytes} bytes for ${pauseMs} ms`;
    return setTimeout(
      () => this.#fail(id, header, new DeadlineError(late, 'total')),
      pauseMs,
    ).unref();
  }

  #fail(id: number, { version }: RequestHeader, error: unknown): void {
    const failure = failureFromError(error);
    this.#frames.send(
      FRAME.failure,
      id,
      encodeFailure({ failure, load: this.#handler.load(version) }),
    );
    this.#cancel(id, error);
  }

  #cancel(id: number, reason: unknown): void {
    const request = this.#open.get(id);
    if (request === undefined) return;
    this.#close(id, request);
    this.#frames.dropBody(id);
    request.release();
    request.cancellation.cancel(reason);
  }

  #close(id: number, request: OpenRequest): void {
    this.#open.delete(id);
    clearTimeout(request.timer);
    this.#account.end(request.unaskedBytes);
    if (request.untakenBytes > 0) this.#account.taken(request.untakenBytes);
  }

  #end(error: Error | undefined): void {
    const gone = error ?? new ConnectionError('caller ended the stream');
    for (const [id] of this.#open.entries()) this.#cancel(id, gone);
    this.#init.onEnd(isSwarmError(error) && error.code === 'ERR_CONNECTION' ? undefined : error);
  }
}

function tooSlow(bytesPerSecond: number, minimum: number): BusyError {
  return new BusyError(
    `body came at ${bytesPerSecond} bytes a second while others waited for its room, expected at least ${minimum}`,
    SLOW_RETRY_MS,
  );
}
