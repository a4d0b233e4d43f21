import type { Stream, StreamMuxer } from '@libp2p/interface';
import { DIRECT_LANE, HEADROOM_BYTES } from '../../protocols/codec/direct-lane.ts';
import { asBuffer } from '../../protocols/codec/frame.ts';
import { InvalidMessageError } from '../../protocols/errors.ts';
import { TlsStream } from './tls-stream.ts';
import { isLaneStream, type LaneRoad, type LaneStream, YamuxLane } from './yamux-lane.ts';

/** yamux's frame type for bytes of a stream. */
const DATA = 0;

/** The largest window that a stream of ours ever grants: no frame of one that is not known any more is longer. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024;

/** What is reached for in yamux's muxer; no part of its public interface. */
interface LaneMuxer extends StreamMuxer {
  readonly streams: (Stream & { onMuxerNeedsDrain(): void })[];
  onData(bytes: unknown): void;
  _newStream(...init: unknown[]): unknown;
}

/**
 * Gives each stream of a muxer over a {@link TlsStream} a direct lane: data frames of a stream whose lane is in use are
 * taken out of what comes from the socket, and written into it, right here; all else is yamux's own. The bytes on the wire are
 * yamux's either way, so the other end needs to know nothing of it.
 *
 * Over anything else, or where yamux is not as expected, nothing is changed.
 */
export function addLanes(muxer: StreamMuxer, connection: unknown): void {
  if (!(connection instanceof TlsStream) || !isLaneMuxer(muxer)) return;
  void new YamuxLanes(muxer, connection);
}

class YamuxLanes implements LaneRoad {
  readonly #muxer: LaneMuxer;
  readonly #connection: TlsStream;
  /** yamux's own reading of what comes. */
  readonly #readOn: (bytes: Uint8Array) => void;
  readonly #lanes = new Map<number, YamuxLane>();
  readonly #header = Buffer.alloc(HEADROOM_BYTES);
  #headerBytes = 0;
  /** Bytes still to come of the frame that has begun, and whose it is: yamux's when undefined. */
  #restBytes = 0;
  #lane: YamuxLane | undefined;

  constructor(muxer: LaneMuxer, connection: TlsStream) {
    this.#muxer = muxer;
    this.#connection = connection;
    this.#readOn = muxer.onData.bind(muxer);
    // What was read before the muxer came, or while the connection was paused, comes as an event still.
    muxer.onData = (bytes) => {
      for (const chunk of bytes as Iterable<Uint8Array>) this.#read(asBuffer(chunk));
    };
    connection.onBytes = (bytes) => {
      try {
        this.#read(bytes);
      } catch (error) {
        muxer.abort(error as Error);
        connection.abort(error as Error);
      }
    };
    const newStream = muxer._newStream.bind(muxer);
    muxer._newStream = (...init) => {
      const stream = newStream(...init);
      if (isLaneStream(stream)) this.#open(stream);
      return stream;
    };
  }

  #open(stream: LaneStream): void {
    const lane = new YamuxLane(stream, this);
    Object.defineProperty(stream, DIRECT_LANE, { value: lane });
    this.#lanes.set(stream.streamId, lane);
    stream.addEventListener('close', () => this.#lanes.delete(stream.streamId), { once: true });
  }

  get idle(): boolean {
    return this.#muxer.status === 'open' && this.#connection.idle;
  }

  write(pieces: readonly Uint8Array[]): void {
    if (this.#connection.write(pieces)) return;
    // As yamux does: whoever sends next waits for the drain.
    for (const stream of this.#muxer.streams) stream.onMuxerNeedsDrain();
  }

  #read(bytes: Buffer): void {
    let offset = 0;
    while (offset < bytes.byteLength) {
      if (this.#restBytes > 0) offset = this.#passOn(bytes, offset);
      else if (this.#headerBytes > 0 || bytes.byteLength - offset < HEADROOM_BYTES) {
        offset = this.#gatherHeader(bytes, offset);
      } else offset = this.#begin(bytes, offset);
    }
  }

  #gatherHeader(bytes: Buffer, offset: number): number {
    const taken = Math.min(HEADROOM_BYTES - this.#headerBytes, bytes.byteLength - offset);
    bytes.copy(this.#header, this.#headerBytes, offset, offset + taken);
    this.#headerBytes += taken;
    if (this.#headerBytes === HEADROOM_BYTES) {
      this.#headerBytes = 0;
      this.#begin(Buffer.from(this.#header), 0);
    }
    return offset + taken;
  }

  /** Begins the frame whose header is at `offset`; returns where its body begins, or the next frame. */
  #begin(bytes: Buffer, offset: number): number {
    const bodyAt = offset + HEADROOM_BYTES;
    const isData = bytes[offset + 1] === DATA;
    const length = isData ? bytes.readUInt32BE(offset + 8) : 0;
    const stream = isData ? this.#lanes.get(bytes.readUInt32BE(offset + 4)) : undefined;
    const roomBytes = stream?.roomBytes ?? MAX_FRAME_BYTES;
    // yamux itself would keep the whole frame before it looked at the window.
    if (length > roomBytes) {
      throw new InvalidMessageError(
        `yamux frame has ${length} bytes, expected at most the ${roomBytes} that its window has left`,
      );
    }
    // Neither another version nor a flag: SYN, ACK, FIN and RST are yamux's to act on.
    const plain = length > 0 && bytes[offset] === 0 && bytes.readUInt16BE(offset + 2) === 0;
    if (plain && stream?.begin(length) === true) {
      this.#lane = stream;
      this.#restBytes = length;
      return bodyAt;
    }
    this.#lane = undefined;
    const end = Math.min(bodyAt + length, bytes.byteLength);
    this.#restBytes = bodyAt + length - end;
    this.#readOn(bytes.subarray(offset, end));
    return end;
  }

  #passOn(bytes: Buffer, offset: number): number {
    const end = Math.min(bytes.byteLength, offset + this.#restBytes);
    this.#restBytes -= end - offset;
    const piece = bytes.subarray(offset, end);
    if (this.#lane === undefined) this.#readOn(piece);
    else this.#lane.receive(piece, this.#restBytes === 0);
    return end;
  }
}

function isLaneMuxer(muxer: StreamMuxer): muxer is LaneMuxer {
  const { onData, _newStream, streams } = muxer as unknown as Record<string, unknown>;
  return typeof onData === 'function' && typeof _newStream === 'function' && Array.isArray(streams);
}
