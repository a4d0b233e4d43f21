import type { Datatype } from './datatype.ts';
import { InvalidInputError } from './errors.ts';
import { quoted } from './quoted.ts';
import { formatShape } from './tensor.ts';
import type { DeclaredDimension, TensorSpec } from './types.ts';

/** Names shown when one is not known: a message has an end, a model may have a thousand inputs. */
const MAX_SHOWN_NAMES = 20;

/** What is checked of a tensor: all of it but its values. */
export interface GivenInput {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
}

/**
 * Checks that the inputs of a request are the model's: each one there, once, with its datatype, rank and fixed dimensions.
 *
 * Free dimensions may have any size, also where two inputs give theirs the same name: exporters name them carelessly, and the
 * model's own operators know better.
 *
 * @throws {ERR_INVALID_INPUT} that says for the first fault what was expected and what was found.
 */
export function checkInputs(specs: readonly TensorSpec[], given: readonly GivenInput[]): void {
  const known = byName(specs);
  // One alone cannot be given twice, and most models have one.
  const seen = given.length > 1 ? new Set<string>() : undefined;
  for (const input of given) {
    const spec = known.get(input.name);
    if (spec === undefined) {
      throw new InvalidInputError(
        `unknown input ${quoted(input.name)}, the model has ${nameList(specs)}`,
      );
    }
    if (seen?.has(input.name) === true)
      throw new InvalidInputError(`input ${quoted(input.name)} is given twice`);
    seen?.add(input.name);
    if (input.datatype !== spec.datatype) {
      throw new InvalidInputError(
        `input ${quoted(input.name)} has datatype ${input.datatype}, expected ${spec.datatype}`,
      );
    }
    checkShape(input, spec.shape);
  }
  // All that are given are the model's, and none is there twice.
  if (given.length === specs.length) return;
  const missing = specs.find(({ name }) => !given.some((input) => input.name === name));
  throw new InvalidInputError(
    `input ${quoted(missing?.name ?? '')} is missing, the model takes ${nameList(specs)}`,
  );
}

/** By the specs of a model, which are looked through for each of its requests. */
const KNOWN = new WeakMap<readonly TensorSpec[], ReadonlyMap<string, TensorSpec>>();

function byName(specs: readonly TensorSpec[]): ReadonlyMap<string, TensorSpec> {
  let known = KNOWN.get(specs);
  if (known === undefined) {
    known = new Map(specs.map((spec) => [spec.name, spec]));
    KNOWN.set(specs, known);
  }
  return known;
}

/**
 * Checks that the outputs a request wants are the model's.
 *
 * @throws {ERR_INVALID_INPUT} that names the first which is not.
 */
export function checkOutputNames(
  specs: readonly Pick<TensorSpec, 'name'>[],
  wanted: readonly string[],
): void {
  if (wanted.length === 0) return;
  const known = new Set(specs.map(({ name }) => name));
  const unknown = wanted.find((name) => !known.has(name));
  if (unknown === undefined) return;
  throw new InvalidInputError(
    `unknown output ${quoted(unknown)}, the model has ${nameList(specs, 'outputs')}`,
  );
}

function checkShape({ name, shape }: GivenInput, expected: readonly DeclaredDimension[]): void {
  const fits =
    shape.length === expected.length &&
    expected.every((dimension, axis) => typeof dimension !== 'number' || dimension === shape[axis]);
  if (fits) return;
  throw new InvalidInputError(
    `input ${quoted(name)} has shape ${formatShape(shape)}, expected ${formatShape(expected)}`,
  );
}

function nameList(specs: readonly Pick<TensorSpec, 'name'>[], what = 'inputs'): string {
  if (specs.length === 0) return `no ${what}`;
  const shown = specs.slice(0, MAX_SHOWN_NAMES).map(({ name }) => quoted(name));
  const more = specs.length > shown.length ? ` and ${specs.length - shown.length} more` : '';
  return `${what} ${shown.join(', ')}${more}`;
}
