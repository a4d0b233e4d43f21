import type { ServerResponse } from 'node:http';
import { Server } from 'node:net';

/**
 * The requests of a server that are not answered to the last byte. Node takes a connection for idle as soon as its answer is written, and closing
 * a server destroys those that are: a client that reads more slowly than the gateway writes would lose the rest.
 */
export class OpenAnswers {
  readonly #open = new Set<ServerResponse>();

  add(response: ServerResponse): void {
    this.#open.add(response);
    response.once('close', () => this.#open.delete(response));
  }

  /**
   * Has a server accept no further connections, and resolves when all that was asked on those that are open is sent. Each ends with its answer:
   * most were told in its head that they would stay.
   */
  async finish(server: Server): Promise<void> {
    // Not the close of HTTP's own server, which destroys connections.
    Server.prototype.close.call(server);
    while (this.#open.size > 0) await Promise.all([...this.#open].map(ended));
  }
}

async function ended(response: ServerResponse): Promise<void> {
  const { socket } = response;
  await new Promise<void>((resolve) => response.once('close', resolve));
  socket?.destroySoon();
}
