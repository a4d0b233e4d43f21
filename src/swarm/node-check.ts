import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { BoundedMap } from '../../protocols/bounded-map.ts';
import { ConnectionError } from '../../protocols/errors.ts';
import { LIVENESS_VERSION } from '../../protocols/liveness/index.ts';
import { protocolId } from '../../protocols/protocol-id.ts';
import type { NodeId } from '../../protocols/types.ts';
import type { SwarmLibp2p } from './libp2p.ts';
import type { NodeView } from './view.ts';

/** Milliseconds that a connection there is has to bring an answer, of which after the first a new one is dialled beside it. */
const ANSWER_TIMEOUT_MS = 1_900;
const ANSWER_HEAD_START_MS = 400;

/** Milliseconds that a new connection has: it takes four round trips, and this is five of the longest there are. */
const DIAL_TIMEOUT_MS = 1_500;

/** Nodes looked for at once; of one more it is not known. */
const MAX_CHECKS = 64;

/** Nodes whose look waits for its turn; of one more it is not known. */
const MAX_WAITING = 1_024;

/** Nodes of which it is remembered when they were looked for. */
const MAX_REMEMBERED = 4096;

/** `there`: it answered, as itself. `gone`: nobody answers as it where it announced to be. `unknown`: too much else is looked for. */
export type NodePresence = 'there' | 'gone' | 'unknown';

export interface CheckOptions {
  /** Milliseconds after an earlier look that this one waits for: it does not stand in for it, for the node may have died since. @default 0 */
  readonly pauseMs?: number | undefined;
  /** True when the connections there are have been silent already, so that only a new one counts. @default false */
  readonly silent?: boolean | undefined;
}

/** A look whose turn has not come, for all who wait for it. */
interface Pause {
  dueMs: number;
  timer: NodeJS.Timeout | undefined;
  readonly over: Promise<void>;
  readonly end: () => void;
}

/** Looks for nodes directly: the only evidence that one lives, or does not. */
export class NodeCheck {
  readonly #libp2p: SwarmLibp2p;
  readonly #protocol: string;
  readonly #signal: AbortSignal;
  readonly #underway = new Map<NodeId, Promise<NodePresence>>();
  /** Apart from what is under way: a look that is urgent joins none that only waits. */
  readonly #pauses = new Map<NodeId, Pause>();
  /** When each was last looked for, on the clock of `performance`. */
  readonly #lastMs = new BoundedMap<NodeId, number>(MAX_REMEMBERED);

  /** @param signal aborts when the peer stops: what is looked for then is unknown. */
  constructor(libp2p: SwarmLibp2p, network: string, signal: AbortSignal) {
    this.#libp2p = libp2p;
    this.#protocol = protocolId(network, 'liveness', LIVENESS_VERSION);
    this.#signal = signal;
    signal.addEventListener('abort', () => {
      for (const { timer, end } of this.#pauses.values()) {
        clearTimeout(timer);
        end();
      }
    });
  }

  /** Looks for a node as it was last heard of; asked twice at once, it looks once. Never rejects. */
  async look(
    { announcement: { node, addresses } }: NodeView,
    { pauseMs = 0, silent = false }: CheckOptions = {},
  ): Promise<NodePresence> {
    const dueMs = (this.#lastMs.get(node) ?? Number.NEGATIVE_INFINITY) + pauseMs;
    if (dueMs > performance.now() && !this.#signal.aborted) {
      if (!this.#pauses.has(node) && this.#pauses.size >= MAX_WAITING) return 'unknown';
      await this.#pause(node, dueMs);
    }
    const underway = this.#underway.get(node);
    if (underway !== undefined) return underway;
    if (this.#underway.size >= MAX_CHECKS || this.#signal.aborted) return 'unknown';
    const looking = this.#look(node, addresses, silent)
      // The peer stops.
      .catch((): NodePresence => 'unknown')
      .finally(() => {
        this.#underway.delete(node);
        this.#lastMs.set(node, performance.now());
      });
    this.#underway.set(node, looking);
    return looking;
  }

  /** Resolves when the soonest of those is due who wait for a node, or when the peer stops. */
  #pause(node: NodeId, dueMs: number): Promise<void> {
    const known = this.#pauses.get(node);
    if (known !== undefined && known.dueMs <= dueMs) return known.over;
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const pause: Pause = known ?? { dueMs, timer: undefined, over, end };
    clearTimeout(pause.timer);
    pause.dueMs = dueMs;
    pause.timer = setTimeout(() => {
      this.#pauses.delete(node);
      pause.end();
    }, dueMs - performance.now()).unref();
    this.#pauses.set(node, pause);
    return pause.over;
  }

  async #look(node: NodeId, addresses: readonly string[], silent: boolean): Promise<NodePresence> {
    const before = this.#libp2p.getConnections(peerIdFromString(node));
    const answered = silent || before.length === 0 ? Promise.resolve(false) : this.#answers(node);
    const headStart = delay(ANSWER_HEAD_START_MS, false, { ref: false });
    if (await Promise.race([answered, headStart])) return 'there';
    const dialled = this.#dials(node, addresses);
    void Promise.all([answered, dialled]).then(([answers, second]) => {
      if (!answers) this.#abort(before, `node ${node} fell silent`);
      else if (before.some(({ status }) => status === 'open')) this.#close(second);
    });
    const reached = dialled.then((connection) => connection !== undefined);
    const there = await Promise.race([
      answered.then((answers) => answers || reached),
      reached.then((reaches) => reaches || answered),
    ]);
    this.#signal.throwIfAborted();
    return there ? 'there' : 'gone';
  }

  /** Of a connection there is, it may be known only that nothing comes on it: a router may have forgotten it, or the host be gone. */
  async #dials(node: NodeId, addresses: readonly string[]): Promise<Connection | undefined> {
    try {
      const connection = await this.#libp2p.dial(
        addresses.map((address) => multiaddr(`${address}/p2p/${node}`)),
        { force: true, signal: this.#bounded(DIAL_TIMEOUT_MS) },
      );
      return connection.remotePeer.toString() === node ? connection : undefined;
    } catch {
      return undefined;
    }
  }

  /** Each side keeps as many connections as it has room for: one beside another that answers takes it from somebody. */
  #close(connection: Connection | undefined): void {
    connection?.close({ signal: this.#bounded(DIAL_TIMEOUT_MS) }).catch(() => {
      // It does not end in order, or the peer stops.
      connection.abort(new ConnectionError('the connection before it answers'));
    });
  }

  #abort(connections: readonly Connection[], why: string): void {
    for (const connection of connections) connection.abort(new ConnectionError(why));
  }

  /** Whether anything comes back on the connection there is; also that the peer does not know the protocol. */
  async #answers(node: NodeId): Promise<boolean> {
    const signal = this.#bounded(ANSWER_TIMEOUT_MS);
    try {
      const stream = await this.#libp2p.dialProtocol(peerIdFromString(node), this.#protocol, {
        signal,
      });
      try {
        return await new Promise<boolean>((resolve) => {
          stream.addEventListener('message', () => resolve(true));
          stream.addEventListener('close', () => resolve(false));
          signal.addEventListener('abort', () => resolve(false));
          stream.send(Uint8Array.of(0));
        });
      } finally {
        stream.abort(new ConnectionError('the look is over'));
      }
    } catch (error) {
      return error instanceof Error && error.name === 'UnsupportedProtocolError';
    }
  }

  #bounded(ms: number): AbortSignal {
    return AbortSignal.any([this.#signal, AbortSignal.timeout(ms)]);
  }
}
