import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { PrivateKey } from '@libp2p/interface';
import { NotFoundError } from '../../protocols/errors.ts';
import { loadOrCreateKey, peerIdText } from '../swarm/identity.ts';
import type { CommandContext } from './command-context.ts';

/** A key that a command was given, or made. */
export interface CommandKey {
  readonly key: PrivateKey;
  /** Peer id of the key. */
  readonly id: string;
  /** Absolute path of its file. */
  readonly file: string;
  /** True when it was made just now. */
  readonly made: boolean;
}

export interface OpenKeyOptions {
  /** Make the key when there is no such file. @default true */
  readonly create?: boolean | undefined;
}

/**
 * Loads the key in a file, or makes it, and warns when others can read it.
 *
 * @throws {ERR_STORE} when the file cannot be read or written, or holds no Ed25519 key.
 * @throws {ERR_NOT_FOUND} when there is none and none is to be made.
 */
export async function openKey(
  { cwd, terminal }: Pick<CommandContext, 'cwd' | 'terminal'>,
  name: string,
  { create = true }: OpenKeyOptions = {},
): Promise<CommandKey> {
  const file = path.resolve(cwd, name);
  const made = !(await exists(file));
  if (made && !create) throw new NotFoundError(`key file ${file} does not exist`);
  const key = await loadOrCreateKey(file, {
    onWarning: (message) => terminal.note(`${terminal.style('bad', 'warning:')} ${message}`),
  });
  return { key, id: peerIdText(key), file, made };
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
