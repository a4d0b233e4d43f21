import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { PrivateKey } from '@libp2p/interface';
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

/**
 * Loads the key in a file, or makes it, and warns when others can read it.
 *
 * @throws {ERR_STORE} when the file cannot be read or written, or holds no Ed25519 key.
 */
export async function openKey(
  { cwd, terminal }: Pick<CommandContext, 'cwd' | 'terminal'>,
  name: string,
): Promise<CommandKey> {
  const file = path.resolve(cwd, name);
  const made = !(await exists(file));
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
