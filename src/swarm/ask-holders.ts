import { NoNodeError } from '../../protocols/errors.ts';
import type { TransferConnection } from '../../protocols/transfer/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { SwarmPeer } from './peer.ts';
import { announcedHolders, connectToHolder } from './version-holders.ts';

/**
 * Asks those who announced that they hold a version, one after the other, those that have all of it first, until one
 * gives what is asked for.
 *
 * @param what is asked for, for the message: `its manifest`
 * @throws {ERR_NO_NODE} when no known holder did; `details.failures` says why each did not.
 * @throws the signal's reason when it aborts.
 */
export async function askHolders<T>(
  peer: SwarmPeer,
  cid: VersionCid,
  what: string,
  ask: (connection: TransferConnection) => Promise<T>,
  { signal }: { readonly signal: AbortSignal },
): Promise<T> {
  const failures: string[] = [];
  for (const holder of announcedHolders(peer, cid)) {
    try {
      const connection = await connectToHolder(peer, holder, signal);
      try {
        return await ask(connection);
      } finally {
        await connection.close();
      }
    } catch (error) {
      signal.throwIfAborted();
      failures.push(`${holder}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new NoNodeError(`no node that holds version ${cid} could give ${what}`, {
    details: { version: cid, failures },
  });
}
