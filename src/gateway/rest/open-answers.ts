import type { ServerResponse } from 'node:http';
import { Server } from 'node:net';
import { IdTable } from '../../../protocols/id-table.ts';

/**
 * The requests of a server that are not answered to the last byte. Node takes a connection for idle as soon as its answer is written, and closing
 * a server destroys those that are: a client that reads more slowly than the gateway writes would lose the rest.
 */
export class OpenAnswers {
  /** By a number of their own. */
  readonly #open = new IdTable<ServerResponse>();
  #last = 0;

  add(response: ServerResponse): void {
    this.#last = (this.#last + 1) >>> 0;
    const id = this.#last;
    this.#open.set(id, response);
    response.once('close', () => this.#open.delete(id));
  }

  /**
   * Has a server accept no further connections, and resolves when all that was asked on those that are open is sent. Each ends with its answer:
   * most were told in its head that they would stay.
   */
  async finish(server: Server): Promise<void> {
    // Not the close of HTTP's own server, which destroys connections.
    Server.prototype.close.call(server);
    while (this.#open.size > 0) {
      await Promise.all(this.#open.entries().map(([, response]) => ended(response)));
    }
  }
}

async function ended(response: ServerResponse): Promise<void> {
  const { socket } = response;
  await new Promise<void>((resolve) => response.once('close', resolve));
  socket?.destroySoon();
}
