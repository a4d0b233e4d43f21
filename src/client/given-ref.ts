import { InvalidInputError, NotFoundError } from '../../protocols/errors.ts';
import { describeValue } from '../../protocols/nested-array.ts';
import { type ModelRef, parseModelRef } from '../../protocols/reference.ts';
import { describeOptionsFault, type FieldsOf } from './known-fields.ts';

const FIELDS: FieldsOf<ModelRef> = { publisher: true, name: true, selector: true };

/**
 * The reference that an application named a model by.
 *
 * @throws {ERR_INVALID_INPUT} when a text is none, or an object is not as `parseModelRef` makes it. {ERR_NOT_FOUND} when it is nothing.
 */
export function toModelRef(ref: string | ModelRef): ModelRef {
  if (typeof ref === 'string') return parseModelRef(ref);
  if (ref === null || ref === undefined) throw new NotFoundError('no model reference given');
  if (typeof ref !== 'object') {
    throw new InvalidInputError(`model reference: expected a text, found ${describeValue(ref)}`);
  }
  const fault = describeOptionsFault(ref, FIELDS);
  if (fault !== undefined) throw new InvalidInputError(`model reference: ${fault}`);
  const { publisher, name, selector } = ref;
  if (typeof publisher === 'string' && typeof name === 'string' && selector?.kind !== undefined) {
    return ref;
  }
  throw new InvalidInputError(
    'model reference: expected a text, or publisher, name and selector as parseModelRef gives them',
  );
}
