import { describe, expect, it } from 'vitest';
import { formatModelRef, parseModelRef } from '../../../protocols/reference.ts';

const PUBLISHER = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN';
const CID = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';

describe('parseModelRef', () => {
  it.each([
    [`${PUBLISHER}/digits`, { kind: 'channel', channel: 'stable', split: true }],
    [`${PUBLISHER}/digits@stable`, { kind: 'channel', channel: 'stable' }],
    [`${PUBLISHER}/digits@canary`, { kind: 'channel', channel: 'canary' }],
    [`${PUBLISHER}/digits@${CID}`, { kind: 'version', cid: CID }],
  ])('reads %s', (text, selector) => {
    expect(parseModelRef(text)).toEqual({ publisher: PUBLISHER, name: 'digits', selector });
    expect(parseModelRef(formatModelRef(parseModelRef(text)))).toEqual(parseModelRef(text));
  });

  it.each([
    '',
    'digits',
    `/${PUBLISHER}`,
    `${PUBLISHER}/`,
    `${PUBLISHER}/Digits`,
    `${PUBLISHER}/a b`,
    'short/digits',
    `${PUBLISHER}/digits@`,
    `${PUBLISHER}/digits@UP`,
    `${PUBLISHER}/${'a'.repeat(65)}`,
  ])('refuses %j with what it expects', (text) => {
    expect(() => parseModelRef(text)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_INPUT' }),
    );
    expect(() => parseModelRef(text)).toThrow(/expected/);
  });
});
