import { describe, expect, it } from 'vitest';
import { stableHash } from '../../../../src/policy/stable-hash.ts';

describe('stableHash', () => {
  it.each(['', 'node', 'węzeł', 'node 🐢'])('of %j goes over its UTF-8 bytes', (text) => {
    let hash = 0x811c9dc5;
    for (const byte of Buffer.from(text, 'utf8')) hash = Math.imul(hash ^ byte, 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    expect(stableHash(text)).toBe((hash ^ (hash >>> 16)) >>> 0);
  });
});
