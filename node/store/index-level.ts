import { readdir } from 'node:fs/promises';
import { Level } from 'level';
import { StoreError } from '../../protocols/errors.ts';
import { failureCode, storeFailure } from './store-failure.ts';

/** The layout of what is in the index; one of another number is not opened. */
const FORMAT = '1';

const FORMAT_KEY = 'format';

/** Acknowledged means synced: without it LevelDB leaves the last writes to the system's cache. */
export const SYNC = { sync: true } as const;

/**
 * Opens the LevelDB of a store; one process at a time can.
 *
 * @param mayCreate False when there is something that an index must have known of: then a missing one is a lost one.
 * @throws {ERR_STORE} when another process holds it, it is damaged or lost, or it is of another format.
 */
export async function openIndexLevel(folder: string, mayCreate: boolean): Promise<Level> {
  // LevelDB itself makes a new, empty index where only the file that names the current one is lost.
  const createIfMissing = mayCreate && !(await holdsData(folder));
  const level = new Level(folder);
  try {
    await level.open({ createIfMissing });
  } catch (cause) {
    throw openFailure(folder, cause);
  }
  try {
    await checkFormat(level, folder);
  } catch (cause) {
    await level.close();
    throw storeFailure(`index ${folder} cannot be read`, cause);
  }
  return level;
}

/** Runs one operation on the index; what fails there is ERR_STORE. */
export async function onIndex<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (cause) {
    throw storeFailure('index of the store cannot be used', cause);
  }
}

async function holdsData(folder: string): Promise<boolean> {
  try {
    return (await readdir(folder)).some((name) => name.endsWith('.log') || name.endsWith('.ldb'));
  } catch (error) {
    if (failureCode(error) === 'ENOENT') return false;
    throw storeFailure(`index ${folder} cannot be read`, error);
  }
}

function openFailure(folder: string, error: unknown): Error {
  // LevelDB's own word is the cause of one that only says that it is not open.
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const reason = failureCode(cause);
  if (reason === 'LEVEL_LOCKED') {
    return new StoreError(
      `store ${folder} is in use by another process: stop it, or give this one another data folder`,
      { cause, details: { reason } },
    );
  }
  const text = cause instanceof Error ? cause.message : String(cause);
  const missing = text.includes('does not exist');
  if (reason === 'LEVEL_CORRUPTION' || missing) {
    return new StoreError(
      `store ${folder} is damaged (${text}): restore it from a backup, or move the whole store away; without it versions are fetched again from other nodes`,
      { cause, details: { reason: 'LEVEL_CORRUPTION' } },
    );
  }
  return storeFailure(`store ${folder} cannot be opened`, cause);
}

async function checkFormat(level: Level, folder: string): Promise<void> {
  const found: string | undefined = await level.get(FORMAT_KEY);
  if (found === undefined) await level.batch().put(FORMAT_KEY, FORMAT).write(SYNC);
  else if (found !== FORMAT) {
    throw new StoreError(
      `index ${folder} has format ${JSON.stringify(found.slice(0, 80))}, expected '${FORMAT}': another release of this program made it`,
    );
  }
}
