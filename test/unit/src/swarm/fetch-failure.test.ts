import { describe, expect, it } from 'vitest';
import { nobodyHas, nobodyLeft } from '../../../../src/swarm/fetch-failure.ts';

const DROPPED = new Map([['12D3liar', new Error('block a1 hashes to b2')]]);

describe('nobodyHas', () => {
  it('says why others are not asked any more, not only that those who are have nothing', () => {
    const error = nobodyHas(1, 3, DROPPED);
    expect(error.code).toBe('ERR_NOT_FOUND');
    expect(error.message).toBe(
      'none of 1 peers has the 3 blocks that are missing; 12D3liar: block a1 hashes to b2',
    );
    expect(error.details['failures']).toEqual(['12D3liar: block a1 hashes to b2']);
  });

  it('says no more where nobody was dropped', () => {
    expect(nobodyHas(2, 1, new Map()).message).toBe(
      'none of 2 peers has the 1 blocks that are missing',
    );
  });
});

describe('nobodyLeft', () => {
  it('says why each was dropped', () => {
    expect(nobodyLeft(DROPPED)).toMatchObject({
      code: 'ERR_CONNECTION',
      message: 'no peer is left to fetch from: 12D3liar: block a1 hashes to b2',
    });
  });

  it('says so where there never was anybody', () => {
    expect(nobodyLeft(new Map())).toMatchObject({ code: 'ERR_NOT_FOUND' });
  });
});
