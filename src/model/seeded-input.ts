import type { Datatype } from '../../protocols/datatype.ts';
import { elementCount, type NamedTensor, Tensor, type TensorData } from '../../protocols/tensor.ts';
import type { TensorSpec } from '../../protocols/types.ts';

/** Floats are multiples of its inverse: exact in every float, and short in JSON. */
const FLOAT_STEPS = 16;

/** Sizes tried for free dimensions but the first: tokens, pixels, one of a kind, and the picture that most networks were made for. */
const FREE_SIZES = [8, 64, 1, 224];

/** What to try, in this order, until the model takes it. */
export const SEEDED_INPUT_KINDS = FREE_SIZES.flatMap((freeSize) => [
  { freeSize, plain: false },
  { freeSize, plain: true },
]);

/** Words that text inputs are made of: short, and of more than one script. */
const WORDS = ['swarm', 'of', 'nodes', 'α', '7', 'Ja', 'naïve', 'x'];

const MAX_WORDS = 4;

export interface SeededInputInit {
  /** Equal seeds give equal inputs, on any machine. */
  readonly seed: number;
  /** Size of free first dimensions, which mostly count rows. */
  readonly rows: number;
  /** Size of all other free dimensions. */
  readonly freeSize: number;
  /** True for floats from 0 to 1 and texts of one digit, where thresholds, probabilities or numbers as text are wanted. */
  readonly plain: boolean;
  /** Elements of all inputs together, past which there are none. */
  readonly maxElements: number;
}

/**
 * Inputs that a model may well take, made of nothing but what it declares. Pure.
 *
 * Dimensions of one name have one size. Floats lie between −1 and 1, or are as `plain` says; integers and booleans are 0 or 1, for as indices, masks, lengths
 * and classes those are valid nearly everywhere; text is a few short words.
 *
 * @returns undefined when they would have more than `maxElements`
 */
export function createSeededInputs(
  specs: readonly TensorSpec[],
  { seed, rows, freeSize, plain, maxElements }: SeededInputInit,
): NamedTensor[] | undefined {
  const sizes = new Map<string, number>();
  const shapes = specs.map(({ shape }) =>
    shape.map((dimension, axis) => {
      if (typeof dimension === 'number') return dimension;
      const size = axis === 0 ? rows : freeSize;
      if (dimension === null) return size;
      const known = sizes.get(dimension) ?? size;
      sizes.set(dimension, known);
      return known;
    }),
  );
  const elements = shapes.reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
  if (elements > maxElements) return undefined;
  const random = createRandom(seed);
  return specs.map(({ name, datatype }, index) => {
    const shape = shapes[index] ?? [];
    const data = createData(datatype, elementCount(shape), random, plain);
    return { name, tensor: Tensor.from(datatype, shape, data) };
  });
}

/** A number from 0 to `below` - 1. */
type Random = (below: number) => number;

/** xorshift32 (Marsaglia, Xorshift RNGs, 2003): whole numbers only, so that no machine's floats matter. */
function createRandom(seed: number): Random {
  // Zero would stay zero.
  let state = (Math.imul(seed, 0x9e3779b1) | 1) >>> 0;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 8) % below;
  };
}

function createData(datatype: Datatype, count: number, random: Random, plain: boolean): TensorData {
  switch (datatype) {
    case 'FP16':
    case 'FP32':
    case 'FP64':
      return fill(count, () =>
        plain
          ? random(FLOAT_STEPS + 1) / FLOAT_STEPS
          : random(2 * FLOAT_STEPS + 1) / FLOAT_STEPS - 1,
      );
    case 'BYTES':
      return fill(count, () => (plain ? String(random(10)) : createText(random)));
    case 'BOOL':
      return fill(count, () => random(2) === 1);
    case 'INT64':
    case 'UINT64':
      return fill(count, () => BigInt(random(2)));
    default:
      return fill(count, () => random(2));
  }
}

function createText(random: Random): string {
  return fill(1 + random(MAX_WORDS), () => WORDS[random(WORDS.length)]).join(' ');
}

function fill<T>(count: number, value: () => T): T[] {
  return Array.from({ length: count }, value);
}
