/** Characters of a card in which its front matter ends. */
const MAX_FRONT_MATTER = 64 * 1024;

/**
 * The simple keys of a card's YAML front matter: `license: mit` at the beginning of a line. Lists, nested keys and texts over
 * several lines are left out, for this is no YAML parser.
 */
export function readFrontMatter(card: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  const text = card.slice(0, MAX_FRONT_MATTER).replace(/^\uFEFF/, '');
  const matter = /^---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/.exec(text)?.[1] ?? '';
  for (const line of matter.split(/\r?\n/)) {
    const [, key, raw] = /^([A-Za-z_][\w-]*):[ \t]+(.*)$/.exec(line) ?? [];
    const value = raw === undefined ? undefined : plainValue(raw);
    if (key !== undefined && value !== undefined) values.set(key, value);
  }
  return values;
}

/** A scalar on one line; undefined for what is another thing in YAML. */
function plainValue(raw: string): string | undefined {
  const [, single, double] = /^'([^'\\]*)'\s*(?:#.*)?$|^"([^"\\]*)"\s*(?:#.*)?$/.exec(raw) ?? [];
  const text = single ?? double ?? raw.replace(/(?:^|\s)#.*$/, '').trim();
  const quotedText = single !== undefined || double !== undefined;
  if (text === '' || (!quotedText && /^[[\]{}>|&*!%@`'"-]/.test(text))) return undefined;
  return text;
}
