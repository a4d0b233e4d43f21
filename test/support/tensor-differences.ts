import { formatShape, type Tensor } from '../../protocols/tensor.ts';

/** How far a floating-point number may be from the one expected: `abs + rel * |expected|`. */
export interface Tolerance {
  readonly abs: number;
  readonly rel: number;
}

/** Where a tensor is not the one expected: floating-point numbers within a tolerance, all else exactly. */
export function tensorDifferences(
  found: Tensor,
  expected: Tensor,
  { abs, rel }: Tolerance,
): unknown[] {
  const form = ({ datatype, shape }: Tensor) => `${datatype} ${formatShape(shape)}`;
  if (form(found) !== form(expected)) return [{ found: form(found), expected: form(expected) }];
  const values: readonly unknown[] = found.toArray();
  const wanted: readonly unknown[] = expected.toArray();
  return wanted.flatMap((want, index) => {
    const value = values[index];
    const close =
      found.datatype.startsWith('FP') &&
      Math.abs(Number(value) - Number(want)) <= abs + rel * Math.abs(Number(want));
    return close || Object.is(value, want) ? [] : [{ index, value, want }];
  });
}
