import { stat } from 'node:fs/promises';
import path from 'node:path';
import { InvalidInputError, StoreError } from '../../protocols/errors.ts';
import { createDurably } from '../swarm/durable-file.ts';

/**
 * Looks whether {@link writeNewFile} could write there, so that a wrong name is told before any work is done.
 *
 * @throws {ERR_INVALID_INPUT} when the file is there. {ERR_STORE} when its folder is not.
 */
export async function checkNewFile(file: string): Promise<void> {
  if (await exists(file)) throw thereAlready(file);
  const folder = path.dirname(file);
  if (await exists(folder)) return;
  throw new StoreError(`file ${file} cannot be written: there is no folder ${folder}`);
}

/**
 * Writes a file that is the user's alone and replaces no other.
 *
 * @throws {ERR_INVALID_INPUT} when the file is there. {ERR_STORE} when it cannot be written.
 */
export async function writeNewFile(file: string, bytes: Uint8Array): Promise<void> {
  let created: boolean;
  try {
    created = await createDurably(file, bytes, 0o600);
  } catch (cause) {
    throw new StoreError(`file ${file} cannot be written: ${String(cause)}`, { cause });
  }
  if (!created) throw thereAlready(file);
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return false;
    throw new StoreError(`file ${file} cannot be looked at: ${String(cause)}`, { cause });
  }
}

function thereAlready(file: string): InvalidInputError {
  return new InvalidInputError(`file ${file} is there already, expected the name of a new one`);
}
