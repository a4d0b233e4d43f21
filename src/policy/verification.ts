import type { Tolerance } from '../../protocols/manifest/index.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';
import { findOutputDifference, type OutputDifference } from './output-comparison.ts';

/** Owners that a call may ask for one answer, before it escalates. */
export const MAX_VERIFY_REPLICAS = 7;

/** How sure a caller wants to be. */
export interface VerificationRule {
  /** Answers from as many different owners that agree are enough: 2 to {@link MAX_VERIFY_REPLICAS}. */
  readonly replicas: number;
  /** Answers without which there is no result, where fewer owners than `replicas` can be asked: 1 to `replicas`. */
  readonly atLeast: number;
}

/** What is to be done with the answers so far; they are named by their index. */
export type Ruling =
  /** So many further owners are to be asked. */
  | { readonly kind: 'ask'; readonly owners: number }
  /** `answer` is the one that most agree with, among them itself. */
  | {
      readonly kind: 'agreed';
      readonly answer: number;
      readonly agreeing: readonly number[];
      readonly dissenting: readonly number[];
    }
  /** No answer has more than half of the owners behind it. */
  | { readonly kind: 'disagreed'; readonly most: number }
  /** They agree, and are fewer than the caller is content with. */
  | { readonly kind: 'too few' };

/**
 * Decides on the answers of different owners to one request.
 *
 * Each is one vote. As many that agree as were wanted end the matter. While they are fewer because some disagree, further owners
 * are asked, up to `2 × replicas − 1` answers: with fewer liars than `replicas` one answer has enough behind it by then. In the
 * end more than half of all answers decide.
 *
 * @param agree whether two answers agree, by their indices; the same both ways
 * @param further owners who were not asked yet
 */
export function ruleOnAnswers(
  count: number,
  agree: (a: number, b: number) => boolean,
  { replicas, atLeast }: VerificationRule,
  further: number,
): Ruling {
  const { answer, agreeing } = largestGroup(count, agree);
  if (agreeing.length < replicas && further > 0) {
    // While nobody disagrees the missing are asked; once somebody does, as many as the largest group lacks.
    const owners = Math.min(replicas - agreeing.length, 2 * replicas - 1 - count, further);
    if (owners > 0) return { kind: 'ask', owners };
  }
  if (count < atLeast) return agreeing.length === count ? { kind: 'too few' } : disagreed(agreeing);
  if (2 * agreeing.length <= count) return disagreed(agreeing);
  const dissenting = indices(count).filter((index) => !agreeing.includes(index));
  return { kind: 'agreed', answer, agreeing, dissenting };
}

/**
 * Deals owners to as many lanes as answers are wanted, in random order: what is asked in one lane can never meet an owner of
 * another, so the lanes run at once. Random, so that nobody becomes everybody's witness by being the fastest.
 */
export function dealOwners<Owner>(
  owners: readonly Owner[],
  lanes: number,
  random: () => number,
): readonly (readonly Owner[])[] {
  const shuffled = owners.map((owner) => ({ owner, at: random() })).toSorted((a, b) => a.at - b.at);
  const width = Math.min(lanes, owners.length);
  return Array.from({ length: width }, (_, lane) =>
    shuffled.filter((__, index) => index % width === lane).map(({ owner }) => owner),
  );
}

/**
 * Where two answers differ by more than the version's tolerance; undefined when they agree. They must have the same outputs. A
 * difference that no tolerance of hardware explains comes before one that a near tie may: a label, an index.
 */
export function differenceOfAnswers(
  expected: readonly NamedTensor[],
  found: readonly NamedTensor[],
  tolerance: Tolerance,
): OutputDifference | undefined {
  // Either may be the one that is right, and the relative part of a tolerance is of the expected.
  const differences = [...differencesOf(expected, found, tolerance)];
  for (const difference of differencesOf(found, expected, tolerance)) {
    const { expected: had, found: wanted } = difference;
    differences.push({ ...difference, expected: wanted, found: had });
  }
  return differences.find((difference) => !isNearTie(difference)) ?? differences[0];
}

/** True when a value that must be equal is not, in tensors of the same form: two classes of nearly equal score, for one. */
export function isNearTie({ element, tolerance }: OutputDifference): boolean {
  return element !== null && tolerance === null;
}

function* differencesOf(
  expected: readonly NamedTensor[],
  found: readonly NamedTensor[],
  tolerance: Tolerance,
): Generator<OutputDifference> {
  for (const output of expected) {
    const difference = findOutputDifference([output], found, () => tolerance);
    if (difference !== undefined) yield difference;
  }
}

/** The answer that the most agree with, the first of equals, and who they are. Not a class: agreeing is not transitive. */
function largestGroup(
  count: number,
  agree: (a: number, b: number) => boolean,
): { readonly answer: number; readonly agreeing: readonly number[] } {
  let best = { answer: 0, agreeing: [] as readonly number[] };
  for (const answer of indices(count)) {
    const agreeing = indices(count).filter((other) => other === answer || agree(answer, other));
    if (agreeing.length > best.agreeing.length) best = { answer, agreeing };
  }
  return best;
}

function disagreed(agreeing: readonly number[]): Ruling {
  return { kind: 'disagreed', most: agreeing.length };
}

function indices(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index);
}
