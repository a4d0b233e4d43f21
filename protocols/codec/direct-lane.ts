import type { Stream } from '@libp2p/interface';

/** Bytes before what {@link DirectLane.send} is given that it may write its own header into. */
export const HEADROOM_BYTES = 12;

/** Where a stream of libp2p keeps its {@link DirectLane}, if it has one. */
export const DIRECT_LANE = Symbol('gpu-swarm.direct-lane');

/**
 * The way past libp2p's buffers and events, for a stream whose transport has one. The stream stays what it is: its end, its
 * resets and its `drain` are told by its own events, and what cannot go this way goes through `send` and `message`.
 */
export interface DirectLane {
  /**
   * Hears what comes, piece by piece, in the order of the stream; must not throw. While it is undefined, and for what had to
   * be kept, `message` events come as on any stream. The memory of a piece is not written to again.
   */
  onBytes: ((bytes: Uint8Array) => void) | undefined;
  /** True while the transport takes no more; a `drain` event follows. */
  readonly congested: boolean;
  /** False when so many bytes must go through `send` of the stream: when others wait there, or there is no room. */
  canSend(byteLength: number): boolean;
  /**
   * Sends bytes at once, which {@link canSend} was asked for. Never throws: that the stream has failed is told by its events.
   *
   * @param pieces not to be written to again; {@link HEADROOM_BYTES} before the first are the lane's to write to
   */
  send(pieces: readonly Uint8Array[], byteLength: number): void;
}

/** The direct lane of a stream; undefined where the transport has none. */
export function directLaneOf(stream: Stream): DirectLane | undefined {
  return (stream as { readonly [DIRECT_LANE]?: DirectLane })[DIRECT_LANE];
}
