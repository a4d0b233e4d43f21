import { quoted } from '../../protocols/quoted.ts';

/** Unknown fields that a message names. */
const MAX_NAMED = 3;

/** A word for each field that an options type has: who adds a field to the type must add it here. */
export type FieldsOf<T> = Readonly<Record<keyof T, true>>;

/**
 * What to say of the fields that options have and their type does not, such as a name misspelt where no compiler looks; undefined
 * when there are none. A field that is there and undefined was not given.
 */
export function describeUnknownFields<T>(given: object, known: FieldsOf<T>): string | undefined {
  let unknown: string[] | undefined;
  // Each call comes through here: what is known costs no more than a look.
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(known, name) || Reflect.get(given, name) === undefined) continue;
    unknown ??= [];
    unknown.push(quoted(name));
  }
  if (unknown === undefined) return undefined;
  const more = unknown.length > MAX_NAMED ? ` and ${unknown.length - MAX_NAMED} more` : '';
  const named = unknown.slice(0, MAX_NAMED).join(', ');
  return `unknown ${named}${more}, known are: ${Object.keys(known).join(', ')}`;
}
