const encoder = new TextEncoder();

/**
 * A 32-bit hash of a text, well mixed and the same on every peer: FNV-1a over its UTF-8 bytes, then murmur3's finaliser, for
 * FNV alone leaves texts that differ in their last letters close together.
 */
export function stableHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    // Of plain letters the units are the bytes, and a ranking hashes thousands of such texts.
    if (unit > 0x7f) return mixed(hashOf(encoder.encode(text)));
    hash = Math.imul(hash ^ unit, 0x01000193);
  }
  return mixed(hash);
}

function hashOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}

function mixed(hash: number): number {
  let bits = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
