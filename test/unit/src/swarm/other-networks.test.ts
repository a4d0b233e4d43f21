import { describe, expect, it } from 'vitest';
import { describeOtherNetworks } from '../../../../src/swarm/other-networks.ts';

const stranger = Object.assign(new Error('could not negotiate'), {
  name: 'UnsupportedProtocolError',
});
const rejected = (reason: unknown) => ({ status: 'rejected', reason }) as const;
const fulfilled = { status: 'fulfilled', value: undefined } as const;

describe('describeOtherNetworks', () => {
  it('tells of peers none of which speaks the protocol', () => {
    expect(describeOtherNetworks([rejected(stranger), rejected(stranger)], 'home')).toBe(
      "none of the 2 peers asked is of network 'home' (--network)",
    );
  });

  it.each([
    ['nobody was asked', []],
    ['one of them answered', [rejected(stranger), fulfilled]],
    ['one of them failed otherwise', [rejected(stranger), rejected(new Error('stream reset'))]],
    ['what failed is no error', [rejected('aborted')]],
  ])('tells nothing when %s', (_, answers) => {
    expect(describeOtherNetworks(answers, 'home')).toBeUndefined();
  });
});
