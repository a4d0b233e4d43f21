import { NotFoundError } from '../../../protocols/errors.ts';

import { quotedUpTo } from '../../../protocols/quoted.ts';

/** The longest name of a model has 117 characters, and is to be told whole. */
const SHOWN_CHARACTERS = 200;

/** A name of a model or a tensor, in quotes, as a message shows it. */
export function shown(name: string): string {
  return quotedUpTo(SHOWN_CHARACTERS, name);
}

/** In Triton's words, which its users know. */
export function unknownModel(name: string, options?: ErrorOptions): NotFoundError {
  return new NotFoundError(`Request for unknown model: ${shown(name)} is not found`, options ?? {});
}
