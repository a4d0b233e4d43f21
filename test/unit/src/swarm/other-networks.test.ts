import { describe, expect, it } from 'vitest';
import { areOfOtherNetworks } from '../../../../src/swarm/other-networks.ts';

const stranger = Object.assign(new Error('could not negotiate'), {
  name: 'UnsupportedProtocolError',
});
const rejected = (reason: unknown) => ({ status: 'rejected', reason }) as const;
const fulfilled = { status: 'fulfilled', value: undefined } as const;

describe('areOfOtherNetworks', () => {
  it('is true of peers none of which speaks the protocol', () => {
    expect(areOfOtherNetworks([rejected(stranger), rejected(stranger)])).toBe(true);
  });

  it.each([
    ['nobody was asked', []],
    ['one of them answered', [rejected(stranger), fulfilled]],
    ['one of them failed otherwise', [rejected(stranger), rejected(new Error('stream reset'))]],
    ['what failed is no error', [rejected('aborted')]],
  ])('is false when %s', (_, answers) => {
    expect(areOfOtherNetworks(answers)).toBe(false);
  });
});
