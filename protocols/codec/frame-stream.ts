import type { Stream, StreamMessageEvent } from '@libp2p/interface';
import { Uint8ArrayList } from 'uint8arraylist';
import { ConnectionError, InvalidMessageError, isSwarmError } from '../errors.ts';
import { FRAME_TIMEOUT_MS, MAX_DATA_CHUNK_BYTES } from '../limits.ts';
import { type DirectLane, directLaneOf } from './direct-lane.ts';
import { FrameDecoder, type ReceivedFrame } from './frame.ts';
import { FrameBatch } from './frame-batch.ts';
import { ReadPause } from './read-pause.ts';

/** More pieces than this are copied together: a list of many is slow, and one of 100 000 cannot be made. */
const MAX_LIST_PIECES = 256;

/** Bytes libp2p may hold for us before bodies wait; a small frame overtakes all but these. */
const HIGH_WATER_BYTES = 4 * MAX_DATA_CHUNK_BYTES;

/** A body on its way out: it is asked for a piece whenever the stream has room. */
export interface OutgoingBody {
  readonly id: number;
  /** Type of the frames it goes out in. */
  readonly type: number;
  /** The next pieces, at most `maxBytes` in all; none when the receiver's credit is used up. */
  take(maxBytes: number): readonly Uint8Array[];
  /** True when everything was taken. */
  readonly done: boolean;
}

export interface FrameStreamInit {
  /** Called for each frame; what it throws resets the stream. */
  readonly onFrame: (frame: ReceivedFrame) => void;
  /** Called once, when no frame can come or go any more; `error` is undefined after a clean end. */
  readonly onEnd: (error: Error | undefined) => void;
  /** Type of the frames that may be handed out in pieces, as they come. */
  readonly divisibleType?: number | undefined;
  /** Milliseconds the other side has to end a frame it began. @default FRAME_TIMEOUT_MS of docs/limits.md */
  readonly frameTimeoutMs?: number | undefined;
  /** Bytes that may wait because the other side does not read; more reset the stream. @default no bound */
  readonly maxUnsentBytes?: number | undefined;
  /** Bytes that may wait before nothing is read from the other side until it reads; for `frameTimeoutMs` at most. @default no bound */
  readonly pauseUnsentBytes?: number | undefined;
}

/**
 * Frames both ways over one libp2p stream: small frames at once, batched per microtask; bodies in chunks, in turn, as far as
 * the transport takes them. Past libp2p's buffers and events where the stream has a {@link DirectLane}.
 */
export class FrameStream {
  readonly #stream: Stream;
  readonly #lane: DirectLane | undefined;
  readonly #init: FrameStreamInit;
  readonly #decoder: FrameDecoder;
  readonly #batch = new FrameBatch();
  #flushing = false;
  /** In turn: the first is served next and goes to the end. */
  readonly #bodies: OutgoingBody[] = [];
  #waiting = false;
  readonly #pause: ReadPause;
  #frameTimer: NodeJS.Timeout | undefined;
  /** Whether a frame came to its end since the timer was last looked at. */
  #frameEnded = false;
  #ended = false;

  constructor(stream: Stream, init: FrameStreamInit) {
    this.#stream = stream;
    this.#init = init;
    this.#pause = new ReadPause(stream, () => this.#watchPartialFrame());
    this.#decoder = new FrameDecoder((frame) => {
      // A piece that is not its frame's last ends nothing.
      if (!this.#decoder.partial) this.#frameEnded = true;
      init.onFrame(frame);
    }, init.divisibleType);
    stream.addEventListener('message', this.#onMessage);
    this.#lane = directLaneOf(stream);
    if (this.#lane !== undefined) this.#lane.onBytes = this.#onBytes;
    stream.addEventListener('remoteCloseWrite', this.#onRemoteEnd);
    stream.addEventListener('close', this.#onClose);
    stream.addEventListener('drain', this.#onRoom);
    stream.addEventListener('idle', this.#onRoom);
    // Who opened the stream may have ended it before we came to listen; what it sent until then is handed out first.
    queueMicrotask(() => {
      if (stream.remoteWriteStatus === 'closed') this.#onRemoteEnd();
    });
  }

  /** True while the transport takes no more, or what this turn sends is enough for it: what is sent now waits in memory. */
  get congested(): boolean {
    return this.#waiting || this.#batch.byteLength > HIGH_WATER_BYTES;
  }

  /** Queues one small frame; it leaves with whatever else this turn of the event loop sends, by a lane the first at once. */
  send(type: number, id: number, ...payload: readonly Uint8Array[]): void {
    if (this.#ended) return;
    this.#batch.add(type, id, payload);
    // The other side has something to do while the rest of this turn is made: else it sleeps, and waking it costs more.
    if (!this.#flushing && this.#lane?.canSend(this.#batch.byteLength) === true) this.#write();
    this.#scheduleFlush();
  }

  /** Begins to send a body; call {@link pump} when it was given more credit. */
  sendBody(body: OutgoingBody): void {
    if (this.#ended) return;
    this.#bodies.push(body);
    this.#scheduleFlush();
  }

  /** Forgets a body that is not wanted any more. */
  dropBody(id: number): void {
    const index = this.#bodies.findIndex((body) => body.id === id);
    if (index >= 0) this.#bodies.splice(index, 1);
  }

  /** Reads nothing from the other side for so many milliseconds. */
  rest(ms: number): void {
    if (this.#ended) return;
    this.#pause.rest(ms);
    this.#watchPartialFrame();
  }

  /** Sends on what bodies have credit for. */
  pump(): void {
    this.#scheduleFlush();
  }

  /** Ends our side after what was queued. The other side may still answer until the signal aborts. */
  async close(signal: AbortSignal): Promise<void> {
    if (this.#ended) return;
    this.#flush();
    const onLate = (): void => this.abort(new ConnectionError('peer did not end the stream'));
    signal.addEventListener('abort', onLate, { once: true });
    try {
      await this.#stream.close({ signal });
    } catch (error) {
      this.abort(asError(error));
    }
  }

  /** Resets the stream and reports `error` to `onEnd`. */
  abort(error: Error): void {
    if (this.#ended) return;
    this.#end(error);
    this.#stream.abort(error);
  }

  #scheduleFlush(): void {
    if (this.#flushing || this.#ended) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#ended) return;
    this.#write();
    while (!this.#waiting && this.#takeTurn()) this.#write();
  }

  /** Lets the next body that has credit send one chunk; false when none has. */
  #takeTurn(): boolean {
    for (let turns = this.#bodies.length; turns > 0; turns -= 1) {
      const body = this.#bodies.shift() as OutgoingBody;
      const pieces = body.take(MAX_DATA_CHUNK_BYTES);
      if (!body.done) this.#bodies.push(body);
      if (pieces.length === 0) continue;
      this.#batch.add(body.type, body.id, pieces);
      return true;
    }
    return false;
  }

  #write(): void {
    const { byteLength } = this.#batch;
    if (byteLength === 0) return;
    const pieces = this.#batch.take();
    if (this.#lane?.canSend(byteLength) === true) {
      this.#lane.send(pieces, byteLength);
      this.#waiting = this.#lane.congested;
      return;
    }
    const only = pieces[0];
    let data: Uint8Array | Uint8ArrayList;
    if (pieces.length === 1 && only !== undefined) data = only;
    else if (pieces.length > MAX_LIST_PIECES) data = Buffer.concat(pieces, byteLength);
    else data = new Uint8ArrayList(...pieces);
    try {
      this.#stream.send(data);
    } catch (cause) {
      this.#end(new ConnectionError('stream is closed', { cause }));
      return;
    }
    const unsentBytes = this.#stream.writeBufferLength;
    this.#waiting = this.#noRoom(unsentBytes);
    if (!this.#waiting) return;
    const { maxUnsentBytes = Infinity, pauseUnsentBytes = Infinity } = this.#init;
    if (unsentBytes > pauseUnsentBytes) this.#awaitReading();
    if (unsentBytes > maxUnsentBytes) {
      this.abort(
        new InvalidMessageError(
          `peer does not read: ${unsentBytes} bytes wait for it, expected at most ${maxUnsentBytes}`,
        ),
      );
    }
  }

  #awaitReading(): void {
    const limitMs = this.#init.frameTimeoutMs ?? FRAME_TIMEOUT_MS;
    this.#pause.unread(limitMs, () => {
      const late = `peer read nothing of what waits for it within ${limitMs} ms`;
      this.abort(new InvalidMessageError(late));
    });
    this.#watchPartialFrame();
  }

  #noRoom(unsentBytes = this.#stream.writeBufferLength): boolean {
    return this.#lane?.congested ?? unsentBytes > HIGH_WATER_BYTES;
  }

  readonly #onRoom = (): void => {
    if (!this.#waiting) return;
    this.#waiting = false;
    // libp2p sends on what it holds in a microtask of its own after the event: ours comes behind it.
    queueMicrotask(() => {
      this.#waiting = this.#noRoom();
      if (!this.#waiting) this.#pause.read();
      this.#scheduleFlush();
    });
  };

  readonly #onMessage = ({ data }: StreamMessageEvent): void => {
    if (data instanceof Uint8Array) this.#onBytes(data);
    else for (const chunk of data) this.#onBytes(chunk);
  };

  readonly #onBytes = (bytes: Uint8Array): void => {
    if (this.#ended) return;
    try {
      this.#decoder.push(bytes);
    } catch (error) {
      this.abort(asError(error));
      return;
    }
    this.#watchPartialFrame();
  };

  #watchPartialFrame(): void {
    // While we do not read, no frame can end.
    const awaited = this.#decoder.partial && !this.#pause.paused;
    // The pieces of a large body rarely end where a frame does: it is each frame that has the time, not the body.
    if (!awaited || this.#frameEnded) {
      this.#frameEnded = false;
      clearTimeout(this.#frameTimer);
      this.#frameTimer = undefined;
    }
    if (!awaited) return;
    const limitMs = this.#init.frameTimeoutMs ?? FRAME_TIMEOUT_MS;
    this.#frameTimer ??= setTimeout(() => {
      this.abort(new InvalidMessageError(`peer did not end a frame within ${limitMs} ms`));
    }, limitMs).unref();
  }

  readonly #onRemoteEnd = (): void => {
    if (this.#ended) return;
    const error = this.#decoder.partial
      ? new ConnectionError('peer ended the stream inside a frame')
      : undefined;
    this.#end(error);
    this.#stream.close({ signal: AbortSignal.timeout(5_000) }).catch((cause: unknown) => {
      this.#stream.abort(asError(cause));
    });
  };

  readonly #onClose = (event: { readonly error?: Error | undefined }): void => {
    const { error } = event;
    this.#end(error === undefined ? undefined : asError(error));
  };

  #end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#frameTimer);
    this.#pause.cancel();
    this.#bodies.length = 0;
    this.#batch.take();
    if (this.#lane !== undefined) this.#lane.onBytes = undefined;
    this.#stream.removeEventListener('message', this.#onMessage);
    this.#stream.removeEventListener('remoteCloseWrite', this.#onRemoteEnd);
    this.#stream.removeEventListener('close', this.#onClose);
    this.#stream.removeEventListener('drain', this.#onRoom);
    this.#stream.removeEventListener('idle', this.#onRoom);
    this.#init.onEnd(error);
  }
}

function asError(error: unknown): Error {
  if (isSwarmError(error)) return error;
  const cause = error instanceof Error ? error : new Error(String(error));
  return new ConnectionError(`stream failed: ${cause.message}`, { cause });
}
