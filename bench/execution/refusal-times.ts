import type { Stream } from '@libp2p/interface';
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
    stream.addEventListener('message', () => {
      arrivedAtMs = performance.now();
    });
    const send = stream.send.bind(stream);
    stream.send = (data) => {
      const more = send(data);
      const nowMs = performance.now();
      for (const atMs of refused.splice(0)) this.#times.push(nowMs - atMs);
      return more;
    };
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
