import { describe, expect, it } from 'vitest';
import { matchesCatalog } from '../../../../src/policy/catalog-match.ts';

const digits = {
  publisher: 'p',
  name: 'digits',
  metadata: {
    task: 'image-classification',
    description: 'Reads a handwritten digit',
    licence: 'Apache-2.0',
    labels: { size: 'small', __proto__: 'x' },
  },
};

describe('matchesCatalog', () => {
  it.each([
    ['nothing asked', { text: '' }, true],
    ['blanks', { text: '   ' }, true],
    ['a part of the name', { text: 'igi' }, true],
    ['another case', { text: 'READS' }, true],
    ['a label', { text: 'size small' }, true],
    ['the licence', { text: 'apache' }, true],
    ['two words, one absent', { text: 'reads letters' }, false],
    ['the task', { text: '', task: 'image-classification' }, true],
    ['a part of the task', { text: '', task: 'image' }, false],
    ['the publisher', { text: '', publisher: 'p' }, true],
    ['another publisher', { text: '', publisher: 'q' }, false],
    ['its label', { text: '', labels: { size: 'small' } }, true],
    ['its label with another value', { text: '', labels: { size: 'large' } }, false],
    ['a label that every object has', { text: '', labels: { toString: 'small' } }, false],
  ])('decides by %s', (_, query, matches) => {
    expect(matchesCatalog(digits, query)).toBe(matches);
  });

  it('finds a model without metadata by its name and publisher alone', () => {
    const bare = { publisher: 'p', name: 'digits', metadata: null };
    expect(matchesCatalog(bare, { text: 'digits', publisher: 'p' })).toBe(true);
    expect(matchesCatalog(bare, { text: '', task: 'image-classification' })).toBe(false);
    expect(matchesCatalog(bare, { text: '', labels: { size: 'small' } })).toBe(false);
  });
});
