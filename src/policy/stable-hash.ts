const encoder = new TextEncoder();

/**
 * A 32-bit hash of a text, well mixed and the same on every peer: FNV-1a over its UTF-8 bytes, then murmur3's finaliser, for
 * FNV alone leaves texts that differ in their last letters close together.
 */
export function stableHash(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of encoder.encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
