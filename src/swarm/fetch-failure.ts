import { ConnectionError, DeadlineError, NotFoundError } from '../../protocols/errors.ts';

/** Peers that are not asked any more, and why. */
type DroppedPeers = ReadonlyMap<string, unknown>;

/** Nobody is left to ask. */
export function nobodyLeft(dropped: DroppedPeers): Error {
  const failures = describe(dropped);
  if (failures.length === 0) return new NotFoundError('no peer is known to hold the version');
  return new ConnectionError(`no peer is left to fetch from: ${failures.join('; ')}`, {
    details: { failures },
  });
}

/** All who can still be asked lack what is left; why the others cannot is what to know, where one of them gave something wrong. */
export function nobodyHas(peers: number, blocks: number, dropped: DroppedPeers): NotFoundError {
  const failures = describe(dropped);
  const text = `none of ${peers} peers has the ${blocks} blocks that are missing`;
  return new NotFoundError([text, ...failures].join('; '), { details: { failures } });
}

/** A peer is of no use. */
export function tooSlow(peer: string, limitMs: number): DeadlineError {
  return new DeadlineError(`${peer} took more than ${limitMs} ms for one block`, 'fetch');
}

function describe(dropped: DroppedPeers): string[] {
  return [...dropped].map(
    ([peer, error]) => `${peer}: ${error instanceof Error ? error.message : String(error)}`,
  );
}
