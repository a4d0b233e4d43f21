import type { Connection, DialTransportOptions, Listener, Transport } from '@libp2p/interface';
import { transportSymbol } from '@libp2p/interface';
import type { webSockets } from '@libp2p/websockets';
import type { Multiaddr } from '@multiformats/multiaddr';

type WebSocketsFactory = ReturnType<typeof webSockets>;
type WebSocketsComponents = Parameters<WebSocketsFactory>[0];

/**
 * WebSockets: loaded at once by a peer that listens on them, else by the first address of that kind that is dialled. An
 * application that only dials seldom meets one, and is spared 30 ms at import.
 */
export async function lazyWebSockets(
  listen: readonly string[],
): Promise<(components: WebSocketsComponents) => Transport> {
  if (!listen.some((address) => /\/wss?(?:\/|$)/.test(address))) {
    return (components) => new DialledWebSockets(components);
  }
  return (await import('@libp2p/websockets')).webSockets();
}

class DialledWebSockets implements Transport {
  readonly [transportSymbol] = true;
  readonly [Symbol.toStringTag] = 'DialledWebSockets';
  readonly #components: WebSocketsComponents;
  #loading: Promise<Transport> | undefined;

  constructor(components: WebSocketsComponents) {
    this.#components = components;
  }

  async dial(address: Multiaddr, options: DialTransportOptions): Promise<Connection> {
    this.#loading ??= import('@libp2p/websockets').then(({ webSockets }) =>
      webSockets()(this.#components),
    );
    return (await this.#loading).dial(address, options);
  }

  createListener(): Listener {
    throw new Error('expected an address to dial: listening on WebSockets is known from the start');
  }

  listenFilter(): Multiaddr[] {
    return [];
  }

  dialFilter(addresses: Multiaddr[]): Multiaddr[] {
    return addresses.filter((address) => {
      const names = new Set(address.getComponents().map(({ name }) => name));
      return (names.has('ws') || names.has('wss')) && !names.has('p2p-circuit');
    });
  }
}
