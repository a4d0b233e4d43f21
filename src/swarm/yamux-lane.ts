import type { Stream } from '@libp2p/interface';
import { type DirectLane, HEADROOM_BYTES } from '../../protocols/codec/direct-lane.ts';

/** yamux's `StreamState.Established`: no flag is due with the next frame, and reading is not paused. */
export const ESTABLISHED = 3;

/** What is reached for in yamux's streams; no part of its public interface. */
export interface LaneStream extends Stream {
  readonly streamId: number;
  readonly state: number;
  /** Bytes of the window that the sender may still use. */
  recvWindowCapacity: number;
  sendWindowCapacity: number;
  readonly sendingData: boolean;
  readonly writableNeedsDrain: boolean;
  sendWindowUpdate(): void;
  onData(bytes: Uint8Array): void;
}

const NUMBERS = ['streamId', 'state', 'recvWindowCapacity', 'sendWindowCapacity'] as const;
const BOOLEANS = ['sendingData', 'writableNeedsDrain'] as const;
const METHODS = ['sendWindowUpdate', 'onData'] as const;

export function isLaneStream(stream: unknown): stream is LaneStream {
  const parts = stream as Record<string, unknown>;
  return (
    NUMBERS.every((name) => typeof parts[name] === 'number') &&
    BOOLEANS.every((name) => typeof parts[name] === 'boolean') &&
    METHODS.every((name) => typeof parts[name] === 'function')
  );
}

/** The connection that all lanes of a muxer share. */
export interface LaneRoad {
  /** True when {@link write} may be called: nothing waits before it. */
  readonly idle: boolean;
  /** Writes whole yamux frames. */
  write(pieces: readonly Uint8Array[]): void;
}

/** The direct lane of one yamux stream: keeps the windows that yamux keeps, in yamux's own fields. */
export class YamuxLane implements DirectLane {
  onBytes: ((bytes: Uint8Array) => void) | undefined;
  readonly #stream: LaneStream;
  readonly #road: LaneRoad;

  constructor(stream: LaneStream, road: LaneRoad) {
    this.#stream = stream;
    this.#road = road;
  }

  get congested(): boolean {
    return this.#stream.writableNeedsDrain;
  }

  canSend(byteLength: number): boolean {
    const stream = this.#stream;
    return (
      stream.state === ESTABLISHED &&
      stream.writeStatus === 'writable' &&
      stream.writeBufferLength === 0 &&
      !stream.sendingData &&
      !stream.writableNeedsDrain &&
      stream.sendWindowCapacity >= byteLength &&
      this.#road.idle
    );
  }

  send(pieces: readonly Uint8Array[], byteLength: number): void {
    const first = pieces[0];
    if (first === undefined) return;
    const framed = Buffer.from(
      first.buffer,
      first.byteOffset - HEADROOM_BYTES,
      HEADROOM_BYTES + first.byteLength,
    );
    // Version, type and flags are 0: bytes of a stream, and nothing else to tell.
    framed.writeUInt32BE(0, 0);
    framed.writeUInt32BE(this.#stream.streamId, 4);
    framed.writeUInt32BE(byteLength, 8);
    this.#stream.sendWindowCapacity -= byteLength;
    this.#road.write(pieces.length === 1 ? [framed] : [framed, ...pieces.slice(1)]);
  }

  /** Bytes that the other side may send now. */
  get roomBytes(): number {
    return this.#stream.recvWindowCapacity;
  }

  /** A data frame of this stream begins, within its window; false when it is yamux's to read. */
  begin(byteLength: number): boolean {
    if (this.onBytes === undefined || this.#stream.state !== ESTABLISHED) return false;
    this.#stream.recvWindowCapacity -= byteLength;
    return true;
  }

  /** @param last whether the frame ends with this piece */
  receive(bytes: Uint8Array, last: boolean): void {
    const stream = this.#stream;
    // Behind what is kept, or paused meanwhile: then it is kept too.
    if (stream.readStatus !== 'readable' || stream.readBufferLength > 0) stream.onData(bytes);
    else if (this.onBytes === undefined) stream.onData(bytes);
    else this.onBytes(bytes);
    if (last && stream.status === 'open') stream.sendWindowUpdate();
  }
}
