import { describe, expect, it } from 'vitest';
import {
  ConnectionError,
  CorruptError,
  DeadlineError,
  InvalidMessageError,
  NotFoundError,
} from '../../../../protocols/errors.ts';
import { DistrustedPeers } from '../../../../src/swarm/distrusted-peers.ts';

const HOUR_MS = 3_600_000;

describe('DistrustedPeers', () => {
  it.each([
    ['lied', new CorruptError('hashes to something else'), HOUR_MS],
    ['broke the protocol', new InvalidMessageError('what'), HOUR_MS],
    ['was too slow', new DeadlineError('too slow', 'fetch'), 600_000],
  ])('remembers a peer that %s, for its time and no longer', (_, error, forMs) => {
    const peers = new DistrustedPeers();
    expect(peers.note('p', error, 1_000)).toBe(true);
    expect(peers.reason('p', 1_000 + forMs - 1)).toBe(error.message);
    expect(peers.reason('p', 1_000 + forMs)).toBeUndefined();
  });

  it.each([
    ['cannot be reached', new ConnectionError('gone')],
    ['does not have a block', new NotFoundError('not here')],
    [
      'says of itself that its disk is damaged',
      new CorruptError('my disk', { details: { remote: true } }),
    ],
    ['meets a bug of ours', new TypeError('what')],
  ])('does not hold it against a peer that it %s', (_, error) => {
    const peers = new DistrustedPeers();
    expect(peers.note('p', error, 0)).toBe(false);
    expect(peers.reason('p', 0)).toBeUndefined();
  });

  it('remembers 1024 peers, and of one more forgets the one whose time ends first', () => {
    const peers = new DistrustedPeers();
    const lie = new CorruptError('lie');
    for (let peer = 0; peer < 1_024; peer += 1) peers.note(`${peer}`, lie, peer);
    expect(peers.reason('0', 2_000)).toBe('lie');
    peers.note('one more', lie, 2_000);
    expect(peers.reason('0', 2_000)).toBeUndefined();
    expect(peers.reason('1', 2_000)).toBe('lie');
    expect(peers.reason('one more', 2_000)).toBe('lie');
  });
});
