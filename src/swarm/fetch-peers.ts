import {
  ConnectionError,
  DeadlineError,
  isSwarmError,
  NotFoundError,
} from '../../protocols/errors.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import { type BlockTask, FetchQueue, type TakenTask } from './fetch-queue.ts';

/** An open way to ask one peer for blocks; a `TransferConnection`. */
export interface BlockConnection {
  /** The verified block. @see TransferConnection.fetch */
  fetch(digest: Uint8Array, maxBytes: number, options?: AbortOptions): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface FetchPeersInit {
  /** Ids of peers that may have the blocks, best first; read only as far as peers are needed. */
  readonly peers: AsyncIterable<string> | Iterable<string>;
  readonly connect: (peer: string, signal: AbortSignal) => Promise<BlockConnection>;
  readonly signal?: AbortSignal | undefined;
}

/** Peers fetched from at once: more share the same downlink. */
const MAX_PEERS = 8;

/** Blocks asked of one peer at once, reached while it answers fast: covers a round trip of 80 ms at 100 MB/s. */
const MAX_LANES = 8;

/** A block within this time earns its peer another one at once; on slow links one at a time keeps times honest. */
const FAST_BLOCK_MS = 2_000;

/** One block may take this long: 17 KiB/s, below which the peer is of no use. */
const BLOCK_TIMEOUT_MS = 120_000;

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Times in a row that a peer whose connection broke before it gave a block is dialled again: the other side ends streams
 * that are idle, as ours are while a long file is checked.
 */
const MAX_RECONNECTS = 1;

/** How often idle peers look whether they can help, and missing blocks are asked for again. */
const TICK_MS = 250;

/** Ticks that all peers lack what is left, and none is asked for anything, until the fetch is given up. */
const MAX_IDLE_TICKS = 20;

interface FetchPeer {
  readonly id: string;
  readonly connection: BlockConnection;
  lanes: number;
}

/**
 * Fetches blocks from several peers at once. A peer that lies, or that breaks off again and again, is dropped for good, with
 * its reason kept.
 */
export class FetchPeers {
  readonly #init: FetchPeersInit;
  readonly #queue = new FetchQueue();
  readonly #active = new Map<string, FetchPeer>();
  readonly #dropped = new Map<string, unknown>();
  /** Times that a peer was dialled again since its last block. */
  readonly #reconnects = new Map<string, number>();
  readonly #stopping = new AbortController();
  readonly #signal: AbortSignal;
  readonly #ticker: NodeJS.Timeout;
  readonly #waiting: (() => void)[] = [];
  #feeding = false;
  /** True when `peers` has no more. */
  #exhausted = false;
  /** Peers that are being dialled. */
  #connecting = 0;
  /** Blocks answered whose `accept` has not settled. */
  #accepting = 0;
  #idleTicks = 0;
  #failure: unknown;

  constructor(init: FetchPeersInit) {
    this.#init = init;
    const { signal } = init;
    this.#signal =
      signal === undefined
        ? this.#stopping.signal
        : AbortSignal.any([signal, this.#stopping.signal]);
    this.#signal.addEventListener('abort', () => this.#fail(this.#signal.reason));
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Peers that will not be asked again, and why. */
  get dropped(): ReadonlyMap<string, unknown> {
    return this.#dropped;
  }

  /**
   * Fetches every block and resolves when all were accepted.
   *
   * @throws {ERR_NOT_FOUND} when no peer has what is left; {ERR_CONNECTION} when no peer is left; `details.failures` says why.
   * @throws whatever an `accept` threw, or the signal's reason.
   */
  async fetchAll(tasks: Iterable<BlockTask>): Promise<void> {
    this.#signal.throwIfAborted();
    this.#queue.add(tasks);
    if (this.#queue.size === 0) return;
    this.#idleTicks = 0;
    if (!this.#feeding) void this.#feed();
    this.#wake();
    while (this.#queue.size > 0 || this.#accepting > 0) {
      if (this.#failure !== undefined) throw this.#failure;
      this.#checkHope();
      await this.#changed();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Ends all connections; what is under way is given up. Never rejects. */
  async close(): Promise<void> {
    clearInterval(this.#ticker);
    this.#stopping.abort(new ConnectionError('fetch is over'));
    await Promise.all([...this.#active.values()].map(({ connection }) => connection.close()));
  }

  async #feed(): Promise<void> {
    this.#feeding = true;
    try {
      for await (const id of this.#init.peers) {
        if (this.#signal.aborted || this.#failure !== undefined) return;
        if (this.#active.has(id) || this.#dropped.has(id)) continue;
        await this.#connect(id);
        while (this.#active.size >= MAX_PEERS && this.#failure === undefined) await this.#changed();
      }
    } catch (error) {
      // A source of peers that fails has no more of them; those that are here may well do.
      this.#dropped.set('(search for peers)', error);
    }
    this.#exhausted = true;
    this.#wake();
  }

  async #connect(id: string): Promise<void> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(CONNECT_TIMEOUT_MS)]);
    this.#connecting += 1;
    try {
      const connection = await this.#init.connect(id, signal);
      if (this.#signal.aborted) return await connection.close();
      const peer: FetchPeer = { id, connection, lanes: 0 };
      this.#active.set(id, peer);
      this.#addLane(peer);
    } catch (error) {
      this.#dropped.set(id, error);
    } finally {
      this.#connecting -= 1;
    }
    this.#wake();
  }

  #addLane(peer: FetchPeer): void {
    if (peer.lanes >= MAX_LANES) return;
    peer.lanes += 1;
    void this.#runLane(peer);
  }

  /** Asks a peer for one block after another until the peer is dropped or the fetch is over. */
  async #runLane(peer: FetchPeer): Promise<void> {
    while (this.#failure === undefined && this.#active.get(peer.id) === peer) {
      const taken = this.#queue.take(peer.id, Date.now());
      if (taken === undefined) await this.#changed();
      else await this.#fetchOne(peer, taken);
    }
  }

  async #fetchOne(peer: FetchPeer, taken: TakenTask): Promise<void> {
    const { task } = taken;
    const startMs = Date.now();
    const timeout = AbortSignal.timeout(BLOCK_TIMEOUT_MS);
    let bytes: Uint8Array;
    try {
      bytes = await peer.connection.fetch(task.digest, task.maxBytes, {
        signal: AbortSignal.any([taken.signal, this.#signal, timeout]),
      });
    } catch (error) {
      if (!taken.signal.aborted && !this.#signal.aborted) {
        this.#failed(peer, taken, timeout.aborted ? tooSlow(peer.id) : error);
      }
      return;
    }
    this.#reconnects.delete(peer.id);
    if (!this.#queue.complete(taken)) return;
    this.#idleTicks = 0;
    this.#accepting += 1;
    try {
      await task.accept(bytes);
    } catch (error) {
      this.#fail(error);
    }
    this.#accepting -= 1;
    if (Date.now() - startMs < FAST_BLOCK_MS) this.#addLane(peer);
    if (this.#queue.size === 0) this.#wake();
  }

  #failed(peer: FetchPeer, taken: TakenTask, error: unknown): void {
    const missing = isSwarmError(error) && error.code === 'ERR_NOT_FOUND';
    this.#queue.giveBack(taken, peer.id, missing);
    // The other lanes of a connection that broke fail too, when the peer may be back already.
    if (!missing && this.#active.get(peer.id) === peer) {
      this.#active.delete(peer.id);
      void peer.connection.close();
      this.#dropOrReconnect(peer.id, error);
    }
    this.#wake();
  }

  #dropOrReconnect(id: string, error: unknown): void {
    const broke = isSwarmError(error) && error.code === 'ERR_CONNECTION';
    const reconnects = this.#reconnects.get(id) ?? 0;
    if (broke && reconnects < MAX_RECONNECTS) {
      this.#reconnects.set(id, reconnects + 1);
      void this.#connect(id);
    } else this.#dropped.set(id, error);
  }

  #tick(): void {
    if (this.#exhausted && this.#queue.size > 0 && this.#queue.inFlight === 0) {
      this.#idleTicks += 1;
      this.#queue.forgetMissing();
    }
    this.#wake();
  }

  /** Fails the fetch when nobody is left to ask, or all who are lack what is left. */
  #checkHope(): void {
    if (!this.#exhausted || this.#connecting > 0 || this.#queue.size === 0) return;
    if (this.#active.size === 0) this.#fail(this.#nobodyLeft());
    else if (this.#idleTicks > MAX_IDLE_TICKS) {
      const text = `none of ${this.#active.size} peers has the ${this.#queue.size} blocks that are missing`;
      this.#fail(new NotFoundError(text, { details: { failures: this.#failures() } }));
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #nobodyLeft(): Error {
    const failures = this.#failures();
    if (failures.length === 0) return new NotFoundError('no peer is known to hold the version');
    return new ConnectionError(`no peer is left to fetch from: ${failures.join('; ')}`, {
      details: { failures },
    });
  }

  #failures(): string[] {
    return [...this.#dropped].map(
      ([peer, error]) => `${peer}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#wake();
  }

  #changed(): Promise<void> {
    if (this.#failure !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function tooSlow(peer: string): DeadlineError {
  return new DeadlineError(`${peer} took more than ${BLOCK_TIMEOUT_MS} ms for one block`, 'fetch');
}
