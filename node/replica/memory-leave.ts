import type { Logger } from 'pino';
import { BusyError, ForbiddenError } from '../../protocols/errors.ts';
import { quarantineMs } from '../../src/policy/quarantine.ts';
import { type Holding, leavingMemory } from './holding.ts';
import { textOf } from './load-failure.ts';
import { type ReplicaRecords, rememberVersion } from './replica-records.ts';

/** Who hears of a version that leaves memory, or does not get there, and where that is written down. */
export interface MemoryLeaveComponents extends ReplicaRecords {
  /** Called after any change that others should hear of. */
  readonly changed: () => void;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

/** Leaves a version alone that breaks here, for longer each time: on another node it may work, and others need this one. */
export async function quarantine(
  holding: Holding,
  reason: string,
  { changed, logger }: MemoryLeaveComponents,
): Promise<void> {
  const { replica } = holding;
  const { cid, name } = replica.origin;
  const quarantinedMs = quarantineMs(holding.quarantines);
  holding.quarantines += 1;
  const gone = leavingMemory(holding);
  const left = replica.quarantine(reason);
  holding.timer = setTimeout(() => {
    void replica.sleep(`was in quarantine: ${reason}`);
    changed();
  }, quarantinedMs);
  holding.timer.unref();
  changed();
  logger.warn({ cid, name, reason, quarantinedMs }, 'version is quarantined');
  await left;
  gone();
}

/** A version without room in memory stays on the disk, and is loaded when it is asked for and there is room. */
async function leaveCold(
  holding: Holding,
  error: BusyError,
  { changed, logger }: MemoryLeaveComponents,
): Promise<void> {
  holding.refused = { error, untilMs: performance.now() + error.retryAfterMs };
  await holding.replica.sleep(error.message);
  changed();
  const { cid, name } = holding.replica.origin;
  logger.info({ cid, name, ...error.details }, 'no room in memory for a version');
}

/**
 * Keeps on the disk, and then it is true, what came to nothing though nothing is wrong with it: there is no room for it, or nobody
 * wants it any more.
 */
export async function stayCold(
  holding: Holding,
  error: unknown,
  components: MemoryLeaveComponents,
): Promise<boolean> {
  const { signal } = holding.givingUp;
  if (signal.aborted) {
    await leaveToDisk(holding, textOf(signal.reason), components);
    return true;
  }
  if (!(error instanceof BusyError)) return false;
  await leaveCold(holding, error, components);
  return true;
}

/** Takes a loaded version out of memory and keeps it on the disk; resolves when its memory is back. */
export async function putToSleep(
  holding: Holding,
  why: string | null,
  { changed, logger }: MemoryLeaveComponents,
): Promise<void> {
  const gone = leavingMemory(holding);
  const left = holding.replica.sleep(why);
  changed();
  await left;
  gone();
  const { cid, name } = holding.replica.origin;
  logger.info({ cid, name, why }, 'version taken out of memory');
}

/**
 * Has a version leave of which the swarm has enough: from memory, and then it is true, or from a fetch that is under way, which
 * ends and leaves on the disk what it has brought.
 */
export async function giveUp(
  holding: Holding,
  why: string,
  components: MemoryLeaveComponents,
): Promise<void> {
  const { state } = holding.replica;
  if (state === 'loading' && holding.progress.state === 'fetching') {
    holding.givingUp.abort(new ForbiddenError(why));
  }
  // A load may take longer than a version may be idle: whoever it was woken for is on his way.
  if (state !== 'ready' || holding.replica.promised) return;
  await leaveToDisk(holding, why, components);
}

/** Keeps a version on the disk alone, over a restart too, until it is wanted in memory again. */
async function leaveToDisk(
  holding: Holding,
  why: string,
  components: MemoryLeaveComponents,
): Promise<void> {
  holding.surplus = true;
  await putToSleep(holding, why, components);
  // It may have been asked for while its memory came back.
  await rememberVersion(components, holding.replica.origin, holding.surplus);
}
