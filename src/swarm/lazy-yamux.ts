import { yamux } from '@chainsafe/libp2p-yamux';
import { ESTABLISHED } from './yamux-lane.ts';
import { addLanes } from './yamux-lanes.ts';

type YamuxInit = NonNullable<Parameters<typeof yamux>[0]>;
type YamuxFactory = ReturnType<typeof yamux>;
type YamuxMuxer = ReturnType<ReturnType<YamuxFactory>['createStreamMuxer']>;

/** What decides in yamux's own streams when the sender is told of new room; no part of its public interface. */
interface WindowedStream {
  readonly state: number;
  /** Bytes of the whole window. */
  readonly recvWindow: number;
  /** Bytes of it that the sender may still use. */
  readonly recvWindowCapacity: number;
  sendWindowUpdate(): void;
}

/**
 * Bytes that a sender may be ahead of a stream that is not read: the library lets it grow to 16 MiB, and resets a paused stream at
 * 4 MiB. At 100 ms of round trip it carries 40 MB a second.
 */
const MAX_WINDOW_BYTES = 4 * 1024 * 1024;

/**
 * yamux that tells a sender of new room once half of the window is used, as the Go and Rust implementations do.
 *
 * The library does so after every data frame: a frame, a TLS record and a system call back for each message. Any peer
 * understands either. Streams that are not as expected are left as they are. Windows grow to 4 MiB, so that a stream can be paused.
 *
 * @see https://github.com/hashicorp/yamux/blob/master/spec.md
 */
export function lazyYamux({ streamOptions, ...init }: YamuxInit = {}): YamuxFactory {
  const create = yamux({
    ...init,
    streamOptions: { maxStreamWindowSize: MAX_WINDOW_BYTES, ...streamOptions },
  });
  return () => {
    const factory = create();
    const createStreamMuxer = factory.createStreamMuxer.bind(factory);
    factory.createStreamMuxer = (connection) => {
      const muxer = updatingLazily(createStreamMuxer(connection));
      addLanes(muxer, connection);
      return muxer;
    };
    return factory;
  };
}

function updatingLazily(muxer: YamuxMuxer): YamuxMuxer {
  const opener = muxer as unknown as { _newStream?: (...init: unknown[]) => unknown };
  const newStream = opener._newStream;
  if (typeof newStream !== 'function') return muxer;
  opener._newStream = (...init) => {
    const stream = newStream.apply(muxer, init);
    if (isWindowed(stream)) updateLazily(stream);
    return stream;
  };
  return muxer;
}

function updateLazily(stream: WindowedStream): void {
  const update = stream.sendWindowUpdate.bind(stream);
  stream.sendWindowUpdate = () => {
    const { state, recvWindow, recvWindowCapacity } = stream;
    // In the states before it an update also opens the stream.
    if (state === ESTABLISHED && recvWindowCapacity > recvWindow / 2) return;
    update();
  };
}

function isWindowed(stream: unknown): stream is WindowedStream {
  const { state, recvWindow, recvWindowCapacity, sendWindowUpdate } = stream as Record<
    string,
    unknown
  >;
  return (
    [state, recvWindow, recvWindowCapacity].every((value) => typeof value === 'number') &&
    typeof sendWindowUpdate === 'function'
  );
}
