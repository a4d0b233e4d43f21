import { describe, expect, it } from 'vitest';
import { wishesMet } from '../../../../src/policy/node-wish.ts';

const NOTHING = { zones: [], owners: [], nodes: [], providers: [], tags: [] };
const traits = {
  node: 'n',
  owner: 'o',
  zone: 'z',
  providers: ['cuda', 'cpu'],
  tags: ['ecc', 'gdpr'],
};

describe('wishesMet', () => {
  it('counts the lists of which any one name is met', () => {
    expect(wishesMet(NOTHING, traits)).toBe(0);
    expect(wishesMet({ ...NOTHING, zones: ['y', 'z'] }, traits)).toBe(1);
    expect(wishesMet({ ...NOTHING, providers: ['coreml', 'cuda'], owners: ['o'] }, traits)).toBe(2);
    expect(
      wishesMet(
        { zones: ['z'], owners: ['o'], nodes: ['n'], providers: ['cpu'], tags: ['gdpr'] },
        traits,
      ),
    ).toBe(5);
    expect(wishesMet({ ...NOTHING, nodes: ['m'] }, traits)).toBe(0);
  });
});
