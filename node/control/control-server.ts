import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from 'pino';
import { InvalidInputError, isSwarmError } from '../../protocols/errors.ts';
import { quoted } from '../../protocols/quoted.ts';
import type { ControlAnswer, ControlRequest, ControlVerbs } from './control-verb.ts';
import { readLines } from './line-reader.ts';

const MAX_REQUEST_UNITS = 4_096;

/** Connections at once: an owner has a few terminals. */
const MAX_CONNECTIONS = 16;

/** Milliseconds that a connection may say nothing before its request, and take nothing of the answer. */
const IDLE_TIMEOUT_MS = 30_000;

export interface ControlServerInit {
  readonly address: string;
  readonly verbs: ControlVerbs;
  readonly logger: Logger;
}

/** Answers the owner of a node on this machine: one request a connection. Whoever may open the socket may do all of it. */
export class ControlServer {
  readonly #server: Server;
  readonly #init: ControlServerInit;
  readonly #sockets = new Set<Socket>();
  readonly #stopping = new AbortController();

  private constructor(init: ControlServerInit) {
    this.#init = init;
    this.#server = createServer((socket) => void this.#serve(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** Listens; the caller holds the data folder, so a socket that lies there is one that a crash left. */
  static async start(init: ControlServerInit): Promise<ControlServer> {
    const control = new ControlServer(init);
    if (process.platform !== 'win32') await rm(init.address, { force: true });
    control.#server.listen(init.address);
    await once(control.#server, 'listening');
    if (process.platform !== 'win32') await chmod(init.address, 0o600);
    return control;
  }

  /** Ends every connection. Twice is once. */
  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort(new DOMException('the node stops', 'AbortError'));
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #serve(socket: Socket): Promise<void> {
    const ended = new AbortController();
    const signal = AbortSignal.any([this.#stopping.signal, ended.signal]);
    this.#sockets.add(socket);
    socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy());
    socket.on('error', () => {
      // Whoever asked is gone: `close` follows.
    });
    socket.once('close', () => {
      this.#sockets.delete(socket);
      ended.abort(new DOMException('the asker left', 'AbortError'));
    });
    try {
      for await (const line of readLines(socket, MAX_REQUEST_UNITS)) {
        // From here on the work takes as long as it takes.
        socket.setTimeout(0);
        await this.#answer(socket, line, signal);
        // Leaving the loop destroys the socket, and with it what was not yet given to the system.
        socket.end();
        await once(socket, 'finish', { signal });
        return;
      }
    } catch (error) {
      socket.destroy();
      if (!signal.aborted) this.#init.logger.warn({ err: error }, 'control request failed');
    }
  }

  async #answer(socket: Socket, line: string, signal: AbortSignal): Promise<void> {
    try {
      const { verb, argument } = parseRequest(line);
      const run = this.#init.verbs[verb];
      if (run === undefined) throw new InvalidInputError(`unknown control verb ${quoted(verb)}`);
      for await (const item of run(argument, signal)) await send(socket, { item }, signal);
      await send(socket, { done: true }, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      // What is not ours to explain goes into the log alone.
      const known = isSwarmError(error);
      if (!known) this.#init.logger.error({ err: error }, 'control request failed');
      const failed = known
        ? { code: error.code, message: error.message }
        : { code: 'ERR_INTERNAL', message: 'the node failed, its log says why' };
      await send(socket, { failed }, signal);
    }
  }
}

function parseRequest(line: string): ControlRequest {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new InvalidInputError('control request is not JSON', { cause });
  }
  const { verb, argument } = (value ?? {}) as Record<string, unknown>;
  if (typeof verb === 'string' && (argument === undefined || typeof argument === 'string')) {
    return { verb, argument };
  }
  throw new InvalidInputError('control request lacks its verb, expected {"verb":…,"argument":…}');
}

async function send(socket: Socket, answer: ControlAnswer, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (socket.write(`${JSON.stringify(answer)}\n`)) return;
  await once(socket, 'drain', { signal });
}
