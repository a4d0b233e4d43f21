import os from 'node:os';
import path from 'node:path';
import { isSwarmError } from '../../protocols/errors.ts';
import type { CommandContext } from './command-context.ts';
import { takeTurn } from './turn-lock.ts';

/**
 * Holds an identity for one daemon of this machine until it is disposed of: peers tell each other apart by nothing else, so that of two
 * with one identity each would get the connections, the streams and the share of the other.
 *
 * What says who has it lies among the temporary files of the user, not beside the key: that may be mounted read-only, and what is
 * left there by another machine would never go. Where there is no room for it, that is told, and nothing is held.
 *
 * @param id the peer id
 * @throws {ERR_STORE} that names the process which has it.
 */
export async function holdIdentity(
  { signal, terminal }: Pick<CommandContext, 'signal' | 'terminal'>,
  { id, holder }: { readonly id: string; readonly holder: string },
): Promise<AsyncDisposable> {
  const user = process.getuid?.() ?? os.userInfo().username;
  const folder = path.join(os.tmpdir(), `gpu-swarm-${user}`, `${id}.turn`);
  try {
    return await takeTurn(folder, {
      ...{ holder, signal, waitMs: 0 },
      doing: `has the identity ${id}, of which one may run: stop it, or leave out --identity`,
    });
  } catch (error) {
    if (!isSwarmError(error) || error.details['pid'] !== undefined) throw error;
    terminal.note(`whether another process has the same identity is not known: ${error.message}`);
    return { [Symbol.asyncDispose]: () => Promise.resolve() };
  }
}
