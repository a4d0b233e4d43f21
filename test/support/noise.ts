/** Bytes without any pattern, the same for the same seed (xorshift32). */
export function noise(byteLength: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(byteLength / 4));
  let state = Math.imul(seed, 0x9e3779b9) | 1;
  for (let index = 0; index < words.length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, byteLength);
}
