import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

interface Pair {
  readonly near: Socket;
  readonly far: Socket | undefined;
}

/** What becomes of connections: forwarded, or taken and then left without a byte, as by a host that is gone without a FIN or RST. */
type Way = 'forward' | 'swallow';

/** Where whoever is behind a proxy listens: on Linux every address from 127.0.0.1 to 127.255.255.254 is this host. */
const BEHIND = '127.0.0.2';

/** A stretch of network before a peer: it can be cut in the ways in which networks are. Linux only. */
export class TcpProxy implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #way: Way = 'forward';
  #dialled = 0;

  static async listen(): Promise<TcpProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TcpProxy(server);
  }

  private constructor(server: Server) {
    const address = server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
    this.#server = server.on('connection', (socket) => this.#take(socket));
  }

  /** The multiaddr at which it is dialled. */
  get address(): string {
    return `/ip4/127.0.0.1/tcp/${this.port}`;
  }

  /** The multiaddr that the peer behind it listens on: the same port of another address. */
  get behind(): string {
    return `/ip4/${BEHIND}/tcp/${this.port}`;
  }

  /** Connections that were ever dialled through it. */
  get dialled(): number {
    return this.#dialled;
  }

  /** The connections there are carry nothing more, either way, and nobody is told: a router forgot them. New ones are well. */
  freeze(): void {
    for (const { near, far } of this.#pairs) {
      silence(near);
      if (far !== undefined) silence(far);
    }
  }

  /** As {@link freeze}, and new connections are taken but lead nowhere: the host behind is gone. */
  swallow(): void {
    this.freeze();
    this.#way = 'swallow';
  }

  /** New connections are forwarded again; those that were swallowed stay so. */
  heal(): void {
    this.#way = 'forward';
  }

  /** Both ends of all connections are told by a RST, in the middle of whatever they say. */
  reset(): void {
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy();
      far?.resetAndDestroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far?.destroy();
    }
    this.#server.close();
    await once(this.#server, 'close');
  }

  #take(near: Socket): void {
    this.#dialled += 1;
    const far = this.#way === 'swallow' ? undefined : connect(this.port, BEHIND);
    const pair = { near, far };
    this.#pairs.add(pair);
    if (far === undefined) silence(near);
    else {
      forward(near, far);
      forward(far, near);
    }
    near.once('close', () => this.#pairs.delete(pair));
  }
}

/** Not `pipe`: what is frozen must not hear of the other side's end either, and that is one of its listeners. */
function forward(from: Socket, to: Socket): void {
  from.on('data', (data) => to.write(data));
  from.on('error', () => to.destroy());
  from.on('end', () => to.end());
}

function silence(socket: Socket): void {
  for (const event of ['data', 'error', 'end']) socket.removeAllListeners(event);
  socket.pause().on('error', () => {
    // Nobody is told of it: that is what silence means here.
  });
}
