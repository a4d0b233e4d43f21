import { InvalidInputError } from '../../protocols/errors.ts';
import { isName } from '../../protocols/reference.ts';

/** Characters of a petname: fewer than the shortest peer id has, so that no text is both. */
export const MAX_PETNAME = 32;

/**
 * True for a name that somebody may give to a key for themselves: as a model's, at most {@link MAX_PETNAME} characters, and
 * not like the name of a key file.
 */
export function isPetname(text: string): boolean {
  return text.length <= MAX_PETNAME && isName(text) && !text.endsWith('.key');
}

/**
 * Checks a petname.
 *
 * @throws {ERR_INVALID_INPUT} when it is not one.
 */
export function parsePetname(text: string): string {
  if (isPetname(text)) return text;
  throw new InvalidInputError(
    `petname ${JSON.stringify(text.slice(0, 80))} is not valid, expected 1 to ${MAX_PETNAME} of a-z, 0-9, '.', '_', '-', beginning and ending with a letter or digit, not ending in .key`,
  );
}
