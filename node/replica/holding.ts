import { type BusyError, NotFoundError } from '../../protocols/errors.ts';
import type { ReplicaProgress } from '../../protocols/replica/index.ts';
import { Askers } from './askers.ts';
import type { MemoryLease } from './memory-ledger.ts';
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
  /** Ends the quarantine. */
  timer: NodeJS.Timeout | undefined;
}

/** What begins to be held: as what, and for whom, if for anybody. */
export function createHolding(origin: ReplicaOrigin, asker: string | undefined): Holding {
  const askers = new Askers();
  if (asker !== undefined) askers.add(asker);
  return {
    replica: new Replica(origin),
    askers,
    progress: { state: 'fetching', bytes: 0, totalBytes: null },
    done: Promise.resolve(),
    lease: undefined,
    refused: undefined,
    quarantines: 0,
    retired: false,
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
  /** Whether idle versions may leave for it. */
  readonly evict: boolean;
  /** Whether callers were told to come back for it. */
  readonly promised: boolean;
}

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
