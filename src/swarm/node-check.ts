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

/** Looks for nodes directly: the only evidence that one lives, or does not. */
export class NodeCheck {
  readonly #libp2p: SwarmLibp2p;
  readonly #protocol: string;
  readonly #signal: AbortSignal;
  readonly #underway = new Map<NodeId, Promise<NodePresence>>();
  /** When each was last looked for, on the clock of `performance`. */
  readonly #lastMs = new BoundedMap<NodeId, number>(MAX_REMEMBERED);

  /** @param signal aborts when the peer stops: what is looked for then is unknown. */
  constructor(libp2p: SwarmLibp2p, network: string, signal: AbortSignal) {
    this.#libp2p = libp2p;
    this.#protocol = protocolId(network, 'liveness', LIVENESS_VERSION);
    this.#signal = signal;
  }

  /** Looks for a node as it was last heard of; asked twice at once, it looks once. Never rejects. */
  async look(
    { announcement: { node, addresses } }: NodeView,
    { pauseMs = 0, silent = false }: CheckOptions = {},
  ): Promise<NodePresence> {
    const underway = this.#underway.get(node);
    if (underway !== undefined) return underway;
    if (this.#underway.size >= MAX_CHECKS || this.#signal.aborted) return 'unknown';
    const looking = this.#look(node, addresses, { pauseMs, silent })
      // The peer stops.
      .catch((): NodePresence => 'unknown')
      .finally(() => {
        this.#underway.delete(node);
        this.#lastMs.set(node, performance.now());
      });
    this.#underway.set(node, looking);
    return looking;
  }

  async #look(
    node: NodeId,
    addresses: readonly string[],
    { pauseMs, silent }: { readonly pauseMs: number; readonly silent: boolean },
  ): Promise<NodePresence> {
    const waitMs = pauseMs - this.#ageMs(node);
    if (waitMs > 0) await delay(waitMs, undefined, { signal: this.#signal, ref: false });
    const before = this.#libp2p.getConnections(peerIdFromString(node));
    const answered = silent || before.length === 0 ? Promise.resolve(false) : this.#answers(node);
    const headStart = delay(ANSWER_HEAD_START_MS, false, { ref: false });
    if (await Promise.race([answered, headStart])) return 'there';
    const dialled = this.#dials(node, addresses);
    void Promise.all([answered, dialled]).then(([answers]) => {
      if (!answers) this.#abort(before, `node ${node} fell silent`);
    });
    const there = await Promise.race([
      answered.then((answers) => answers || dialled),
      dialled.then((reached) => reached || answered),
    ]);
    this.#signal.throwIfAborted();
    return there ? 'there' : 'gone';
  }

  /** Of a connection there is, it may be known only that nothing comes on it: a router may have forgotten it, or the host be gone. */
  async #dials(node: NodeId, addresses: readonly string[]): Promise<boolean> {
    try {
      const { remotePeer } = await this.#libp2p.dial(
        addresses.map((address) => multiaddr(`${address}/p2p/${node}`)),
        { force: true, signal: this.#bounded(DIAL_TIMEOUT_MS) },
      );
      return remotePeer.toString() === node;
    } catch {
      return false;
    }
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

  /** Milliseconds since the last look for a node; infinite when there was none. */
  #ageMs(node: NodeId): number {
    return performance.now() - (this.#lastMs.get(node) ?? Number.NEGATIVE_INFINITY);
  }

  #bounded(ms: number): AbortSignal {
    return AbortSignal.any([this.#signal, AbortSignal.timeout(ms)]);
  }
}
