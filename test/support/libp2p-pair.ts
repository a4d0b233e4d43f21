import type { Libp2p, Stream } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { tls } from '@libp2p/tls';
import { createLibp2p } from 'libp2p';
import { lazyYamux } from '../../src/swarm/lazy-yamux.ts';

const PROTOCOL = '/gpu-swarm/test/pair/1.0.0';

/** Two ends of one stream between two libp2p on this machine, over TCP, TLS and yamux as in a swarm. */
export interface Libp2pPair extends AsyncDisposable {
  readonly outbound: Stream;
  readonly inbound: Stream;
}

async function createPeer(listen: string[]): Promise<Libp2p> {
  return createLibp2p({
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [tls()],
    streamMuxers: [lazyYamux()],
    connectionGater: { denyDialMultiaddr: () => false },
  });
}

/** @param onInbound called with the inbound end before a byte of it is read. */
export async function createLibp2pPair(
  onInbound: (stream: Stream) => void = () => {},
): Promise<Libp2pPair> {
  const listener = await createPeer(['/ip4/127.0.0.1/tcp/0']);
  const dialer = await createPeer([]);
  const arrival = Promise.withResolvers<Stream>();
  await listener.handle(PROTOCOL, (stream) => {
    onInbound(stream);
    arrival.resolve(stream);
  });
  const outbound = await dialer.dialProtocol(listener.getMultiaddrs(), PROTOCOL, {
    signal: AbortSignal.timeout(10_000),
  });
  return {
    outbound,
    inbound: await arrival.promise,
    async [Symbol.asyncDispose]() {
      await Promise.all([dialer.stop(), listener.stop()]);
    },
  };
}
