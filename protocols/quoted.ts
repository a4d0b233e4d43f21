/** Characters of another's text that a message shows: names may be 64 KiB long. */
const SHOWN_CHARACTERS = 64;

/** A name that somebody else chose, in quotes, cut short and without characters that could forge a line of a log. */
export function quoted(name: string): string {
  return quotedUpTo(SHOWN_CHARACTERS, name);
}

/** As {@link quoted}, for names of which so many characters are to be seen. */
export function quotedUpTo(characters: number, name: string): string {
  const shown = name.slice(0, characters).replace(/[\p{Cc}\u2028\u2029]/gu, '\ufffd');
  return `'${shown}${name.length > characters ? '…' : ''}'`;
}
