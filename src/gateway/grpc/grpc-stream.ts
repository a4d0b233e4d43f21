import { once } from 'node:events';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { GatewayRefusal } from '../refusal.ts';
import type { GrpcInferRequest, GrpcInferResponse, GrpcStreamResponse } from './grpc-messages.ts';
import { UnreadMessage } from './unread-message.ts';

/** Requests of one stream that run at once; further ones are not read before one of them is answered. */
const MAX_IN_FLIGHT = 64;

/** What a response is told to be the last of its request; the models here answer once. */
const FINAL = { triton_final_response: { bool_param: true } };

export interface InferenceStreamInit {
  readonly infer: (request: GrpcInferRequest) => Promise<GrpcInferResponse>;
  readonly status: (error: unknown) => { readonly code: number; readonly details: string };
  /** True when the first failure ends the stream with its status; otherwise each is a message and the stream goes on. */
  readonly endsOnError: boolean;
  /** Milliseconds for which the caller may take nothing of the answers. */
  readonly readerTimeoutMs: number;
  /** Resets the stream, which ends it here too: its caller takes nothing. */
  readonly drop: () => void;
}

/**
 * One stream of requests and their answers, which come in the order of the requests though these run at once.
 *
 *   open ── end of requests, drain, bytes that are no request ──▶ ending ── last answer ──▶ ended
 *   open, ending ── failure that ends it ──▶ ended
 */
export class InferenceStream {
  readonly #stream: ServerDuplexStream<GrpcInferRequest, GrpcStreamResponse>;
  readonly #init: InferenceStreamInit;
  #state: 'open' | 'ending' | 'ended' = 'open';
  #inFlight = 0;
  /** Aborts when nobody reads any more. */
  readonly #gone = new AbortController();
  /** Resolves when all answers so far are written; never rejects. */
  #written: Promise<void> = Promise.resolve();

  constructor(
    stream: ServerDuplexStream<GrpcInferRequest, GrpcStreamResponse>,
    init: InferenceStreamInit,
  ) {
    this.#stream = stream;
    this.#init = init;
    stream.on('data', (request: GrpcInferRequest | UnreadMessage) => this.#take(request));
    stream.once('end', () => void this.#finish(() => stream.end()));
    stream.once('cancelled', () => this.#lost());
    // The library ends a broken stream by itself; without a listener the error would end the process.
    stream.on('error', () => this.#lost());
  }

  /** Ends the stream now, with the status of an error. */
  fail(error: unknown): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#stream.emit('error', this.#init.status(error));
  }

  /** Answers what is in flight, then ends the stream with a status that says to come again. */
  async drain(): Promise<void> {
    this.#stream.pause();
    await this.#finishWith(new GatewayRefusal('unavailable', 'the gateway is draining'));
  }

  #take(request: GrpcInferRequest | UnreadMessage): void {
    if (this.#state !== 'open') return;
    if (request instanceof UnreadMessage) {
      // Nobody knows its id, by which its failure could be told as a message.
      void this.#finishWith(request.refusal);
      return;
    }
    this.#inFlight += 1;
    if (this.#inFlight >= MAX_IN_FLIGHT) this.#stream.pause();
    const answer = this.#init.infer(request);
    // Its failure is told when its turn comes.
    answer.catch(() => undefined);
    this.#written = this.#written.then(() => this.#write(request, answer));
  }

  async #write(request: GrpcInferRequest, answer: Promise<GrpcInferResponse>): Promise<void> {
    try {
      const response = await answer;
      const { parameters } = request;
      const wantsFinal = parameters['triton_enable_empty_final_response']?.bool_param === true;
      await this.#send({
        error_message: '',
        infer_response: wantsFinal
          ? { ...response, parameters: { ...response.parameters, ...FINAL } }
          : response,
      });
    } catch (error) {
      if (this.#init.endsOnError) this.fail(error);
      else {
        await this.#send({
          error_message: this.#init.status(error).details,
          // The id alone tells a client which of its requests this is about.
          infer_response: {
            ...{ model_name: request.model_name, model_version: '', id: request.id },
            ...{ parameters: {}, outputs: [], raw_output_contents: [] },
          },
        });
      }
    } finally {
      this.#inFlight -= 1;
      if (this.#state === 'open') this.#stream.resume();
    }
  }

  /** Resolves when there is room for another, or nobody reads. */
  async #send(response: GrpcStreamResponse): Promise<void> {
    if (this.#state === 'ended' || this.#stream.write(response)) return;
    const late = AbortSignal.timeout(this.#init.readerTimeoutMs);
    try {
      await once(this.#stream, 'drain', { signal: AbortSignal.any([late, this.#gone.signal]) });
    } catch {
      // Where the caller has gone, the stream has ended already.
      if (!this.#gone.signal.aborted) this.#init.drop();
      this.#lost();
    }
  }

  #lost(): void {
    this.#state = 'ended';
    this.#gone.abort();
  }

  async #finishWith(refusal: GatewayRefusal): Promise<void> {
    await this.#finish(() => this.#stream.emit('error', this.#init.status(refusal)));
  }

  async #finish(end: () => void): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    await this.#written;
    if ((this.#state as string) === 'ended') return;
    this.#state = 'ended';
    end();
  }
}
