import { POOL_NODES } from '../../policy/node-pool.ts';

/** Nodes that a request remembers to have refused it in one round: all of a client's pool. */
const MAX_TRIED = POOL_NODES;

const FIRST_ROOM = 1_024;

/** Requests on their way: some numbers of each in typed arrays, and no object. A place is used again once its request is over. */
export class RequestTable {
  version = new Int32Array(FIRST_ROOM);
  client = new Int32Array(FIRST_ROOM);
  /** Where it was sent last. */
  node = new Int32Array(FIRST_ROOM);
  /** When it came, and when it reached its node. */
  atMs = new Float64Array(FIRST_ROOM);
  reachedMs = new Float64Array(FIRST_ROOM);
  /** The soonest that a node which refused it said to come again; infinite for none. */
  retryMs = new Float64Array(FIRST_ROOM);
  /** Rounds in which all nodes were asked, or known to be too busy. */
  rounds = new Uint16Array(FIRST_ROOM);
  /** 1 once a node has counted it as demand: however many it is sent to, it is asked for once. */
  counted = new Uint8Array(FIRST_ROOM);
  #tried = new Int32Array(FIRST_ROOM * MAX_TRIED);
  #triedCount = new Int32Array(FIRST_ROOM);
  readonly #free: number[] = [];
  #used = 0;

  /** Takes a place for a request that has just come. */
  open(version: number, client: number, atMs: number): number {
    const request = this.#free.pop() ?? this.#next();
    this.version[request] = version;
    this.client[request] = client;
    this.atMs[request] = atMs;
    this.counted[request] = 0;
    this.beginRound(request);
    this.rounds[request] = 0;
    return request;
  }

  close(request: number): void {
    this.#free.push(request);
  }

  /** All nodes may be asked again. */
  beginRound(request: number): void {
    this.rounds[request] = (this.rounds[request] ?? 0) + 1;
    this.#triedCount[request] = 0;
    this.retryMs[request] = Number.POSITIVE_INFINITY;
  }

  refused(request: number, node: number, retryAfterMs: number): void {
    const count = this.#triedCount[request] ?? 0;
    this.#tried[request * MAX_TRIED + (count % MAX_TRIED)] = node;
    this.#triedCount[request] = count + 1;
    this.retryMs[request] = Math.min(this.retryMs[request] ?? 0, retryAfterMs);
  }

  isTried(request: number, node: number): boolean {
    const count = Math.min(MAX_TRIED, this.#triedCount[request] ?? 0);
    for (let index = 0; index < count; index += 1) {
      if (this.#tried[request * MAX_TRIED + index] === node) return true;
    }
    return false;
  }

  #next(): number {
    if (this.#used === this.version.length) this.#grow();
    this.#used += 1;
    return this.#used - 1;
  }

  #grow(): void {
    const room = 2 * this.version.length;
    this.version = grown(this.version, new Int32Array(room));
    this.client = grown(this.client, new Int32Array(room));
    this.node = grown(this.node, new Int32Array(room));
    this.atMs = grown(this.atMs, new Float64Array(room));
    this.reachedMs = grown(this.reachedMs, new Float64Array(room));
    this.retryMs = grown(this.retryMs, new Float64Array(room));
    this.rounds = grown(this.rounds, new Uint16Array(room));
    this.counted = grown(this.counted, new Uint8Array(room));
    this.#tried = grown(this.#tried, new Int32Array(room * MAX_TRIED));
    this.#triedCount = grown(this.#triedCount, new Int32Array(room));
  }
}

function grown<Room extends Int32Array | Uint8Array | Uint16Array | Float64Array>(
  old: Room,
  room: Room,
): Room {
  room.set(old);
  return room;
}
