import { ConnectionError, isSwarmError } from '../../protocols/errors.ts';
import {
  type Holdings,
  MAX_BLOCK_BYTES,
  NOTHING,
  type RateLimiter,
} from '../../protocols/transfer/index.ts';
import type { AbortOptions } from '../../protocols/types.ts';
import type { DistrustedPeers } from './distrusted-peers.ts';
import { nobodyHas, nobodyLeft, tooSlow } from './fetch-failure.ts';
import { type BlockTask, FetchQueue, type TakenTask } from './fetch-queue.ts';

/** An open way to ask one peer for blocks; a `TransferConnection`. */
export interface BlockConnection {
  /** The verified block. @see TransferConnection.fetch */
  fetch(digest: Uint8Array, maxBytes: number, options?: AbortOptions): Promise<Uint8Array>;
  /** What the peer has of a version. @see TransferConnection.holdings */
  holdings(version: Uint8Array, options?: AbortOptions): Promise<Holdings>;
  close(): Promise<void>;
}

export interface FetchPeersInit {
  /** Ids of peers that may have the blocks, best first; read only as far as peers are needed. */
  readonly peers: AsyncIterable<string> | Iterable<string>;
  /** Ids of peers that are known by now, looked at again and again: those that began after us. @default none */
  readonly latecomers?: (() => Iterable<string>) | undefined;
  /** Digest of the manifest of the version that chunks are counted in. @default peers are not asked what they have */
  readonly version?: Uint8Array | undefined;
  /** Remembers, over many fetches, who is not worth asking. @default nobody does */
  readonly distrusted?: DistrustedPeers | undefined;
  /** Holds all that is fetched to a rate. @default as fast as it goes */
  readonly limit?: RateLimiter | undefined;
  readonly connect: (peer: string, signal: AbortSignal) => Promise<BlockConnection>;
  readonly signal?: AbortSignal | undefined;
}

/** Peers fetched from at once: more share the same downlink. */
const MAX_PEERS = 8;

/** Blocks asked of one peer at once, reached while it answers fast: covers a round trip of 80 ms at 100 MB/s. */
const MAX_LANES = 8;

/** Blocks asked of one peer that is not fast: one on its way, the other's request there when it ends. */
const STEADY_LANES = 2;

/** A block within this time earns its peer another one at once, past {@link STEADY_LANES} only within the second. */
const USEFUL_BLOCK_MS = 2_000;
const FAST_BLOCK_MS = 500;

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

/** Ticks until a peer that has all is asked again what it has: that it answers shows that it lives. */
const WHOLE_TICKS = 8;

/** Chunks told of in one tick; of larger versions peers are asked less often. */
const CHUNKS_PER_TICK = 16_384;

/** Ticks that all peers lack what is left, and none is asked for anything, until the fetch is given up. */
const MAX_IDLE_TICKS = 20;

/** Ticks without a block for which peers may say that they have one and give it to somebody else first. */
const MAX_BUSY_TICKS = 480;

interface FetchPeer {
  readonly id: string;
  readonly connection: BlockConnection;
  lanes: number;
  /** Ticks until it is asked again what it has. */
  inquireIn: number;
  /** Ticks since it gave a block. */
  idleTicks: number;
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
  /** Peers that had nothing to give, and until which tick they are not asked again. */
  readonly #resting = new Map<string, number>();
  /** Peers that are being dialled, and how many dials that are. */
  readonly #dialled = new Set<string>();
  #connecting = 0;
  /** Blocks answered whose `accept` has not settled. */
  #accepting = 0;
  #ticks = 0;
  /** When the last block came. */
  #blockAtTick = 0;
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
        if (!this.#isNew(id)) continue;
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

  /** False for a peer that is asked already, or not to be. */
  #isNew(id: string): boolean {
    if (this.#active.has(id) || this.#dropped.has(id) || this.#dialled.has(id)) return false;
    if ((this.#resting.get(id) ?? 0) > this.#ticks) return false;
    const reason = this.#init.distrusted?.reason(id, Date.now());
    if (reason === undefined) return true;
    this.#dropped.set(id, new ConnectionError(`not asked because of an earlier fetch: ${reason}`));
    return false;
  }

  async #connect(id: string): Promise<void> {
    this.#dialled.add(id);
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(CONNECT_TIMEOUT_MS)]);
    this.#connecting += 1;
    try {
      const connection = await this.#init.connect(id, signal);
      this.#resting.delete(id);
      if (this.#signal.aborted) return await connection.close();
      const peer: FetchPeer = { id, connection, lanes: 0, inquireIn: WHOLE_TICKS, idleTicks: 0 };
      this.#active.set(id, peer);
      void this.#inquire(peer);
      this.#addLane(peer);
    } catch (error) {
      this.#dropped.set(id, error);
    } finally {
      this.#connecting -= 1;
      this.#dialled.delete(id);
    }
    this.#wake();
  }

  /** Asks a peer what it has; in a flash crowd that changes all the time. */
  async #inquire(peer: FetchPeer): Promise<void> {
    const { version } = this.#init;
    if (version === undefined) return;
    let holdings: Holdings;
    try {
      holdings = await peer.connection.holdings(version, { signal: this.#signal });
    } catch (error) {
      // A connection that breaks is noticed, and judged, where a block is asked for.
      peer.inquireIn = WHOLE_TICKS;
      if (!isSwarmError(error) || error.code !== 'ERR_NOT_FOUND') return;
      holdings = NOTHING;
    }
    if (this.#active.get(peer.id) !== peer) return;
    const ticks = holdings.whole ? WHOLE_TICKS : 1 + Math.floor(holdings.count / CHUNKS_PER_TICK);
    peer.inquireIn = ticks;
    this.#queue.setHoldings(peer.id, holdings);
    this.#wake();
  }

  #addLane(peer: FetchPeer): void {
    if (peer.lanes >= MAX_LANES) return;
    peer.lanes += 1;
    void this.#runLane(peer);
  }

  /** Asks a peer for one block after another until the peer is dropped or the fetch is over. */
  async #runLane(peer: FetchPeer): Promise<void> {
    const { limit } = this.#init;
    while (this.#failure === undefined && this.#active.get(peer.id) === peer) {
      // Before a block is chosen: one that waits here must not count as asked for.
      await limit?.take(peer.id, MAX_BLOCK_BYTES);
      const taken = this.#queue.take(peer.id, Date.now());
      limit?.refund(MAX_BLOCK_BYTES - (taken?.task.maxBytes ?? 0));
      if (taken === undefined) await this.#changed();
      else await this.#fetchOne(peer, taken);
    }
  }

  /** A peer that answers fast is asked for more at once: the way to it is long, or wide. */
  #judge(peer: FetchPeer, blockMs: number): void {
    const enoughMs = peer.lanes < STEADY_LANES ? USEFUL_BLOCK_MS : FAST_BLOCK_MS;
    if (blockMs < enoughMs) this.#addLane(peer);
  }

  async #fetchOne(peer: FetchPeer, taken: TakenTask): Promise<void> {
    const { task } = taken;
    const { limit } = this.#init;
    const startMs = Date.now();
    const timeout = AbortSignal.timeout(BLOCK_TIMEOUT_MS);
    let bytes: Uint8Array;
    try {
      bytes = await peer.connection.fetch(task.digest, task.maxBytes, {
        signal: AbortSignal.any([taken.signal, this.#signal, timeout]),
      });
    } catch (error) {
      limit?.refund(task.maxBytes);
      if (!taken.signal.aborted && !this.#signal.aborted) {
        this.#failed(peer, taken, timeout.aborted ? tooSlow(peer.id, BLOCK_TIMEOUT_MS) : error);
      }
      return;
    }
    limit?.refund(task.maxBytes - bytes.byteLength);
    this.#reconnects.delete(peer.id);
    peer.idleTicks = 0;
    if (!this.#queue.complete(taken)) return;
    const blockMs = Date.now() - startMs;
    this.#idleTicks = 0;
    this.#blockAtTick = this.#ticks;
    this.#accepting += 1;
    try {
      await task.accept(bytes);
    } catch (error) {
      this.#fail(error);
    }
    this.#accepting -= 1;
    this.#judge(peer, blockMs);
    if (this.#queue.size === 0) this.#wake();
  }

  #failed(peer: FetchPeer, taken: TakenTask, error: unknown): void {
    // Busy is the word of one that has it and gave it to somebody else a moment ago.
    const busy = isSwarmError(error) && error.code === 'ERR_BUSY';
    const missing = busy || (isSwarmError(error) && error.code === 'ERR_NOT_FOUND');
    if (busy && this.#ticks - this.#blockAtTick < MAX_BUSY_TICKS) this.#idleTicks = 0;
    this.#queue.giveBack(taken, peer.id, missing);
    // The other lanes of a connection that broke fail too, when the peer may be back already.
    if (!missing && this.#active.get(peer.id) === peer) {
      this.#leave(peer);
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
    } else {
      this.#dropped.set(id, error);
      this.#init.distrusted?.note(id, error, Date.now());
    }
  }

  #tick(): void {
    if (this.#exhausted && this.#queue.size > 0 && this.#queue.inFlight === 0) {
      this.#idleTicks += 1;
      this.#queue.forgetMissing();
    }
    this.#ticks += 1;
    for (const peer of this.#active.values()) {
      peer.idleTicks += 1;
      peer.inquireIn -= 1;
      if (peer.inquireIn > 0) continue;
      // Until the answer is there, which sets the next time.
      peer.inquireIn = Number.POSITIVE_INFINITY;
      void this.#inquire(peer);
    }
    if (this.#queue.size > 0) this.#joinLatecomers();
    this.#wake();
  }

  #joinLatecomers(): void {
    for (const id of this.#init.latecomers?.() ?? []) {
      const full = this.#active.size + this.#dialled.size >= MAX_PEERS;
      if (!this.#isNew(id)) continue;
      if (full && !this.#rest()) return;
      void this.#connect(id);
    }
  }

  /** Lets one peer go that had nothing to give for long, so that another may be tried; false when there is none. */
  #rest(): boolean {
    for (const peer of this.#active.values()) {
      if (peer.idleTicks < MAX_IDLE_TICKS) continue;
      this.#resting.set(peer.id, this.#ticks + MAX_IDLE_TICKS);
      this.#leave(peer);
      return true;
    }
    return false;
  }

  #leave(peer: FetchPeer): void {
    this.#active.delete(peer.id);
    this.#queue.forgetPeer(peer.id);
    void peer.connection.close();
  }

  /** Fails the fetch when nobody is left to ask, or all who are lack what is left. */
  #checkHope(): void {
    if (!this.#exhausted || this.#connecting > 0 || this.#queue.size === 0) return;
    if (this.#active.size === 0) this.#fail(nobodyLeft(this.#dropped));
    else if (this.#idleTicks > MAX_IDLE_TICKS) {
      this.#fail(nobodyHas(this.#active.size, this.#queue.size, this.#dropped));
    }
    if (this.#failure !== undefined) throw this.#failure;
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
