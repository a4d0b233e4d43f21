import type { Datatype } from '../../protocols/datatype.ts';
import { formatShortFloat } from '../../protocols/exact-json.ts';
import type { Tolerance } from '../../protocols/manifest/index.ts';
import { quoted } from '../../protocols/quoted.ts';
import { formatShape, type NamedTensor, type Tensor } from '../../protocols/tensor.ts';

/** Characters of an element's value that are shown. */
const MAX_SHOWN = 80;

/** The first place where two answers to one request differ by more than they may. */
export interface OutputDifference {
  readonly output: string;
  /** Row-major index of the element; null when the tensors differ as a whole. */
  readonly element: number | null;
  /** In words, fit to be shown: an element's value, a datatype, a shape. */
  readonly expected: string;
  readonly found: string;
  /** What the comparison allowed; null where only equal is right. */
  readonly tolerance: Tolerance | null;
}

/** Tolerance for an output, by its name. */
export type ToleranceOf = (output: string) => Tolerance;

/**
 * Compares an answer with the one that is expected; undefined when they agree. Outputs that are not expected do not count.
 *
 * Floats agree when `|found − expected| ≤ absolute + relative × |expected|`; NaN equals NaN, and an infinity itself alone.
 * Integers, booleans and text must be equal. Datatypes and shapes too: no tolerance makes another shape of an answer.
 */
export function findOutputDifference(
  expected: readonly NamedTensor[],
  found: readonly NamedTensor[],
  toleranceOf: ToleranceOf,
): OutputDifference | undefined {
  const byName = new Map(found.map(({ name, tensor }) => [name, tensor]));
  for (const { name, tensor } of expected) {
    const difference = compareTensors(tensor, byName.get(name), toleranceOf(name));
    if (difference !== undefined) return { output: name, ...difference };
  }
  return undefined;
}

/** `element 3 of output 'y' is 0.5, expected 0.25 within 0.001 absolute and 0.01 relative` */
export function describeOutputDifference(difference: OutputDifference): string {
  const { output, element, expected, found, tolerance } = difference;
  const what = element === null ? 'output' : `element ${element} of output`;
  const within =
    tolerance === null
      ? ''
      : ` within ${tolerance.absolute} absolute and ${tolerance.relative} relative`;
  return `${what} ${quoted(output)} is ${found}, expected ${expected}${within}`;
}

type TensorDifference = Omit<OutputDifference, 'output'>;

function compareTensors(
  expected: Tensor,
  found: Tensor | undefined,
  tolerance: Tolerance,
): TensorDifference | undefined {
  const whole = `${expected.datatype}${formatShape(expected.shape)}`;
  const other = found === undefined ? 'missing' : `${found.datatype}${formatShape(found.shape)}`;
  if (found === undefined || other !== whole) {
    return { element: null, expected: whole, found: other, tolerance: null };
  }
  switch (expected.datatype) {
    case 'FP16':
      return compareFloats(expected, floats(expected), floats(found), tolerance);
    case 'FP32':
    case 'FP64':
      return compareFloats(
        expected,
        expected.data as Float32Array,
        found.data as Float32Array,
        tolerance,
      );
    case 'BYTES':
      return compareEqual(expected.elements().map(text), found.elements().map(text));
    default:
      return compareEqual(expected.data, found.data);
  }
}

function compareFloats(
  { datatype }: Tensor,
  expected: ArrayLike<number>,
  found: ArrayLike<number>,
  tolerance: Tolerance,
): TensorDifference | undefined {
  for (let element = 0; element < expected.length; element += 1) {
    const want = expected[element] ?? Number.NaN;
    const have = found[element] ?? Number.NaN;
    if (areClose(want, have, tolerance)) continue;
    const [wanted, had] = [shownFloat(datatype, want), shownFloat(datatype, have)];
    return { element, expected: wanted, found: had, tolerance };
  }
  return undefined;
}

function areClose(want: number, have: number, { absolute, relative }: Tolerance): boolean {
  if (want === have || (Number.isNaN(want) && Number.isNaN(have))) return true;
  // An infinite distance would be within an infinite share of it.
  if (!Number.isFinite(want) || !Number.isFinite(have)) return false;
  return Math.abs(have - want) <= absolute + relative * Math.abs(want);
}

/** As short as the datatype allows: 5.2 for FP32's 5.199999809265137. */
function shownFloat(datatype: Datatype, value: number): string {
  const short = datatype === 'FP16' || datatype === 'FP32';
  return short && Number.isFinite(value) ? formatShortFloat(datatype, value) : String(value);
}

function compareEqual(
  expected: ArrayLike<number | bigint | string>,
  found: ArrayLike<number | bigint | string>,
): TensorDifference | undefined {
  for (let element = 0; element < expected.length; element += 1) {
    if (expected[element] === found[element]) continue;
    return {
      element,
      expected: shown(expected[element]),
      found: shown(found[element]),
      tolerance: null,
    };
  }
  return undefined;
}

function floats(tensor: Tensor): readonly number[] {
  return tensor.toArray() as number[];
}

/** Equal for equal bytes, whatever they are. */
function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function shown(value: number | bigint | string | undefined): string {
  if (typeof value !== 'string') return String(value);
  return quoted(Buffer.from(value, 'latin1').toString('utf8').slice(0, MAX_SHOWN));
}
