import { once } from 'node:events';
import { connect as connectSocket, createServer, type Server, type Socket } from 'node:net';
import type {
  ComponentLogger,
  Connection,
  Logger,
  MultiaddrConnection,
  Upgrader,
} from '@libp2p/interface';
import { type TCPComponents, tcp } from '@libp2p/tcp';
import { multiaddr } from '@multiformats/multiaddr';

const SILENT_LOG: Logger = Object.assign((): void => undefined, {
  enabled: false,
  trace: (): void => undefined,
  error: (): void => undefined,
  newScope: (): Logger => SILENT_LOG,
});

export const SILENT: ComponentLogger = { forComponent: () => SILENT_LOG };

const COMPONENTS: TCPComponents = { logger: SILENT };

/** libp2p's TCP connections on this machine before anything is negotiated on them. */
export interface TcpEnds extends AsyncDisposable {
  /** Where the inbound ends are dialled. */
  readonly port: number;
  /** The next inbound end, in the order they were dialled. */
  accept(): Promise<MultiaddrConnection>;
  dial(port?: number): Promise<MultiaddrConnection>;
}

export async function listenTcp(): Promise<TcpEnds> {
  const transport = tcp()(COMPONENTS);
  const arrived: MultiaddrConnection[] = [];
  const waiting: ((connection: MultiaddrConnection) => void)[] = [];
  const upgradeInbound = async (connection: MultiaddrConnection): Promise<void> => {
    const next = waiting.shift();
    if (next === undefined) arrived.push(connection);
    else next(connection);
  };
  const listener = transport.createListener({
    upgrader: { upgradeInbound } as unknown as Upgrader,
  });
  await listener.listen(multiaddr('/ip4/127.0.0.1/tcp/0'));
  const port = Number(
    listener
      .getAddrs()[0]
      ?.getComponents()
      .find(({ name }) => name === 'tcp')?.value,
  );
  return {
    port,
    accept: async () => arrived.shift() ?? new Promise((resolve) => waiting.push(resolve)),
    async dial(to = port) {
      const { promise, resolve } = Promise.withResolvers<MultiaddrConnection>();
      // The transport hands on whatever the upgrader gives: here its own connection, bare.
      const upgradeOutbound = async (connection: MultiaddrConnection): Promise<Connection> => {
        resolve(connection);
        return connection as unknown as Connection;
      };
      await transport.dial(multiaddr(`/ip4/127.0.0.1/tcp/${to}`), {
        upgrader: { upgradeOutbound } as unknown as Upgrader,
        signal: AbortSignal.timeout(10_000),
      });
      return promise;
    },
    async [Symbol.asyncDispose]() {
      for (const connection of arrived) connection.abort(new Error('test is over'));
      await listener.close();
    },
  };
}

/** A bare socket to a port of this machine; what it is told of errors is of no interest. */
export async function rawSocket(port: number): Promise<Socket> {
  const socket = connectSocket(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** A server of bare sockets, for a peer that is none. */
export async function rawServer(
  onSocket: (socket: Socket) => void,
): Promise<{ readonly port: number; readonly server: Server } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    port,
    server,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
