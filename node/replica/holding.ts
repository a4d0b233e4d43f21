import { type BusyError, NotFoundError } from '../../protocols/errors.ts';
import type { ReplicaProgress } from '../../protocols/replica/index.ts';
import { Askers } from './askers.ts';
import type { Evictable, MemoryLease } from './memory-ledger.ts';
import { Replica, type ReplicaOrigin } from './replica.ts';

/** How often a waiting publisher hears how far the fetch is. */
const PROGRESS_INTERVAL_MS = 250;

/** A version this node holds, and what is under way with it. */
export interface Holding {
  readonly replica: Replica;
  readonly askers: Askers;
  progress: ReplicaProgress;
  /** Settles when the replica is ready or could not be brought up. */
  done: Promise<void>;
  /** What it has of the memory; undefined while it has none. */
  lease: Pick<MemoryLease, 'release'> | undefined;
  /** Why the last load found no room, and until when that is the answer, on the clock of `performance.now()`. */
  refused: { readonly error: BusyError; readonly untilMs: number } | undefined;
  /** Times it was quarantined since this process began. */
  quarantines: number;
  /** Whether it is out of memory because no channel points at it: then it is not loaded only because there is room. */
  retired: boolean;
  /** Whether it is out of memory because the swarm has enough of it: then it is loaded when the swarm or a caller wants it. */
  surplus: boolean;
  /** Ends a fetch that nobody wants any more, and the load that would follow; another for each time it is brought up. */
  givingUp: AbortController;
  /** Ends the quarantine. */
  timer: NodeJS.Timeout | undefined;
}

/** What begins to be held: as what, and which peers have it or know who does, if any do. */
export function createHolding(origin: ReplicaOrigin, peers: readonly string[] = []): Holding {
  const askers = new Askers();
  for (const peer of peers) askers.add(peer);
  return {
    replica: new Replica(origin),
    askers,
    progress: { state: 'fetching', bytes: 0, totalBytes: null },
    done: Promise.resolve(),
    lease: undefined,
    refused: undefined,
    quarantines: 0,
    retired: false,
    surplus: false,
    givingUp: new AbortController(),
    timer: undefined,
  };
}

/**
 * Ends what waits for a holding that leaves memory, and returns what gives its memory to others: to be called when its process is
 * gone. A load that begins before that has a lease of its own.
 */
export function leavingMemory(holding: Holding): () => void {
  const { lease } = holding;
  holding.lease = undefined;
  clearTimeout(holding.timer);
  return () => lease?.release();
}

/** How a version is brought into memory. */
export interface BringOptions {
  /** Which idle versions may leave for it. */
  readonly evict: Evictable;
  /** Whether callers were told to come back for it. */
  readonly promised: boolean;
}

/** What a version is taken on as. */
export interface TakeOptions {
  /** Peers that have it, or know who does; with none, the fetch is tried until somebody is found. */
  readonly peers: readonly string[];
  /** False for what was held before a restart: it is remembered already, and nobody waits for it. */
  readonly isNew: boolean;
  /** Whether the swarm wants it here, and no publisher has placed it. */
  readonly claimed: boolean;
  /** Which idle versions may leave for it. */
  readonly evict: Evictable;
}

/** What is brought back after a restart takes no place from what is there already. */
export const RESTORED: TakeOptions = { peers: [], isNew: false, claimed: false, evict: false };

/** What is told of a version that is on the disk alone because another took its place. */
export const RETIRED = 'no channel points at it and nobody asks for it';

/** What is told of a version that is on the disk alone because its demand may ask for it. */
export const KEPT = 'kept on the disk for when it is wanted';

/** Why a version is not loaded now however often it is asked for; undefined when nothing speaks against it. */
export function wakeRefusal({ refused, replica }: Holding): Error | undefined {
  if (refused !== undefined && performance.now() < refused.untilMs) return refused.error;
  if (replica.state !== 'quarantined') return undefined;
  return new NotFoundError(
    `this node does not serve version ${replica.origin.cid} for now: ${replica.note ?? 'it failed'}`,
  );
}

/** How far a holding is, until it is ready; throws what it failed with. */
export async function* watch(
  holding: Holding,
  signal: AbortSignal,
): AsyncGenerator<ReplicaProgress> {
  let settled = false;
  const done = holding.done.finally(() => {
    settled = true;
  });
  // Awaited below; until then a rejection must not count as unhandled.
  done.catch(() => undefined);
  while (!settled) {
    signal.throwIfAborted();
    yield holding.progress;
    await Promise.race([
      done.catch(() => undefined),
      new Promise((wake) => setTimeout(wake, PROGRESS_INTERVAL_MS)),
    ]);
  }
  await done;
  yield { state: 'ready' };
}
