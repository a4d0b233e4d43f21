import type { Stream } from '@libp2p/interface';
import { type DirectLane, directLaneOf } from '../../protocols/codec/direct-lane.ts';
import type { InferenceHandler } from '../../protocols/inference/index.ts';

/**
 * What refusals take inside the node: from the moment at which the piece that holds a header reaches its stream to the moment at
 * which the refusal is handed to that stream, which writes it to its socket in the same turn of the event loop.
 */
export class RefusalTimes {
  #times: number[] = [];

  /** The handler of one stream, timed; to be called before anything else listens to the stream. */
  watch(stream: Stream, handler: InferenceHandler): InferenceHandler {
    let arrivedAtMs = 0;
    /** Arrivals of what was refused and has not been handed back yet. */
    const refused: number[] = [];
    const arrives = (): void => {
      arrivedAtMs = performance.now();
    };
    const sent = (): void => {
      const nowMs = performance.now();
      for (const atMs of refused.splice(0)) this.#times.push(nowMs - atMs);
    };
    stream.addEventListener('message', arrives);
    const send = stream.send.bind(stream);
    stream.send = (data) => {
      const more = send(data);
      sent();
      return more;
    };
    const lane = directLaneOf(stream);
    if (lane !== undefined) watchLane(lane, arrives, sent);
    return {
      load: (version) => handler.load(version),
      admit: (header, context) => {
        try {
          return handler.admit(header, context);
        } catch (error) {
          refused.push(arrivedAtMs);
          throw error;
        }
      },
    };
  }

  /** Milliseconds at p99 since this was last asked; 0 when nothing was refused. */
  takeP99Ms(): number {
    const sorted = this.#times.sort((a, b) => a - b);
    this.#times = [];
    return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0;
  }
}

/** The same of a lane, whose listener is set later. */
function watchLane(lane: DirectLane, arrives: () => void, sent: () => void): void {
  const send = lane.send.bind(lane);
  lane.send = (pieces, byteLength) => {
    send(pieces, byteLength);
    sent();
  };
  let listener = lane.onBytes;
  Object.defineProperty(lane, 'onBytes', {
    get: () => listener,
    set: (next: DirectLane['onBytes']) => {
      listener =
        next &&
        ((bytes) => {
          arrives();
          next(bytes);
        });
    },
  });
}
