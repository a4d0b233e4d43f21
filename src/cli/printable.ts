/** Control characters, and the marks that turn the direction of text: either could make a terminal show what is not there. */
const UNSAFE = /[\p{Cc}\u202A-\u202E\u2066-\u2069]/gu;

/** Another peer's text on one line, in a form that a terminal shows and never obeys; at most `limit` characters of it. */
export function printable(text: string, limit = 512): string {
  const safe = text.replaceAll(/\s+/g, ' ').replaceAll(UNSAFE, '\uFFFD').trim();
  return safe.length > limit ? `${safe.slice(0, limit - 1)}…` : safe;
}

/** Both ends of a peer id or CID, for people: enough to tell one from another, not to copy. */
export function shortId(id: string): string {
  return id.length <= 20 ? id : `${id.slice(0, 8)}…${id.slice(-6)}`;
}
