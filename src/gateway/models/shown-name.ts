import { ConnectionError, NotFoundError } from '../../../protocols/errors.ts';
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

/** A model that nobody who answered knows, when too few of those asked did to say that there is none. */
export function tooFewAnswered(
  name: string,
  { asked, answered }: { readonly asked: number; readonly answered: number },
): ConnectionError {
  return new ConnectionError(
    `model ${shown(name)} was not found, and only ${answered} of ${asked} peers said what they know`,
  );
}
