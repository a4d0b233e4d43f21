import { describe, expect, it } from 'vitest';
import { formatBytes } from '../../../protocols/byte-size.ts';

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [69_387, '67.8 KiB'],
    [250 * 1024 ** 2, '250 MiB'],
    [3 * 1024 ** 5, '3072 TiB'],
  ])('writes %i bytes as %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));
});
