import type { IncomingMessage, Server, ServerResponse } from 'node:http';

/**
 * Clients that ask before they send a body, as curl does with those above 1 MiB. They are told to go on once it is known that they may:
 * Node by itself tells them so at once, and has those send their body who are refused for their key or for its size.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
 */
export class AwaitedBodies {
  readonly #asking = new WeakSet<IncomingMessage>();

  constructor(server: Server) {
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      this.#asking.add(request);
      server.emit('request', request, response);
    });
    // Another expectation may be passed over, which leaves one form for all answers.
    server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) =>
      server.emit('request', request, response),
    );
  }

  /** True while the client waits to hear whether its body is wanted. */
  isAsking(request: IncomingMessage): boolean {
    return this.#asking.has(request);
  }

  /** Has the client send its body, where it asked. */
  take(request: IncomingMessage, response: ServerResponse): void {
    if (this.#asking.delete(request)) response.writeContinue();
  }
}
