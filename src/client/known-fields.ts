import { describeValue } from '../../protocols/nested-array.ts';
import { quoted } from '../../protocols/quoted.ts';

/** Unknown fields that a message names. */
const MAX_NAMED = 3;

/** A word for each field that an options type has: who adds a field to the type must add it here. */
export type FieldsOf<T> = Readonly<Record<keyof T, true>>;

/**
 * What to say of options that are no object, or of fields that they have and their type does not, such as a name misspelt where
 * no compiler looks; undefined when all is well. A field that is there and undefined was not given.
 */
export function describeOptionsFault<T>(given: unknown, known: FieldsOf<T>): string | undefined {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    return `expected an object, found ${describeValue(given)}, known are: ${Object.keys(known).join(', ')}`;
  }
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

/** What to say of a signal that is none; undefined when it is one, or none was given. */
export function describeSignalFault(given: unknown): string | undefined {
  if (given === undefined) return undefined;
  const isSignal =
    typeof given === 'object' &&
    given !== null &&
    'aborted' in given &&
    'addEventListener' in given;
  // By its parts: a signal of another realm is one too.
  if (isSignal) return undefined;
  const found = given instanceof AbortController ? 'an AbortController' : describeValue(given);
  return `expected an AbortSignal, found ${found}`;
}
