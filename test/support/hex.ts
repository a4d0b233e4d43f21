/** Bytes from hexadecimal text; blanks are for the reader. */
export function hex(...parts: readonly string[]): Uint8Array {
  const digits = parts.join('').replaceAll(' ', '');
  if (!/^(?:[0-9a-f]{2})*$/.test(digits))
    throw new TypeError(`'${digits.slice(0, 80)}' is not hex`);
  return new Uint8Array(Buffer.from(digits, 'hex'));
}

/** The other way round, for a comparison that shows where it fails. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
