import type { TensorSpec } from '../../protocols/types.ts';

/**
 * The model that each execution provider is tried with: `y = Relu(x · w + b)`, static shapes and nothing that a provider could
 * leave to the CPU. The test that builds it again says what is in it.
 */
const BYTES = [
  'CAgSCWdwdS1zd2FybTqsAwoXCgF4CgF3Egdwcm9kdWN0IgZNYXRNdWwKFgoHcHJvZHVjdAoBYhIDc3VtIgNBZGQKDgoDc3Vt',
  'EgF5IgRSZWx1EgVncmFwaCqMAggICAgQAUIBd0qAAgAAoL8AAAA/AAAAvwAAoD8AAIA+AABAvwAAgD8AAAAAAACAvwAAQD8A',
  'AIC+AACgvwAAAD8AAAC/AACgPwAAgD4AAEC/AACAPwAAAAAAAIC/AABAPwAAgL4AAKC/AAAAPwAAAL8AAKA/AACAPgAAQL8A',
  'AIA/AAAAAAAAgL8AAEA/AACAvgAAoL8AAAA/AAAAvwAAoD8AAIA+AABAvwAAgD8AAAAAAACAvwAAQD8AAIC+AACgvwAAAD8A',
  'AAC/AACgPwAAgD4AAEC/AACAPwAAAAAAAIC/AABAPwAAgL4AAKC/AAAAPwAAAL8AAKA/AACAPgAAQL8AAIA/AAAAAAAAgL8q',
  'KQgIEAFCAWJKIAAAAMAAAMC/AACAvwAAAL8AAAA/AACAPwAAwD8AAABAWhMKAXgSDgoMCAESCAoCCAQKAggIYhMKAXkSDgoM',
  'CAESCAoCCAQKAggIQgQKABAR',
].join('');

const SHAPE = [4, 8];

export const PROBE_ENTRY = 'model.onnx';

export const PROBE_INPUTS: readonly TensorSpec[] = [{ name: 'x', datatype: 'FP32', shape: SHAPE }];

export const PROBE_OUTPUTS: readonly TensorSpec[] = [{ name: 'y', datatype: 'FP32', shape: SHAPE }];

/** How far from the CPU's numbers a provider may be, absolutely and relatively: FP32 kernels stay far below, TF32 ones too. */
export const PROBE_TOLERANCE = 1e-3;

/** The bytes of the model's file. */
export function probeModelBytes(): Uint8Array {
  return Buffer.from(BYTES, 'base64');
}

/** Row-major numbers of its input, both signs and no two alike in a row. */
export function probeInput(): Float32Array {
  return Float32Array.from({ length: 32 }, (_, index) => ((index * 5) % 13) / 4 - 1.5);
}

/** Index of the first number that is not the CPU's; undefined when all are. */
export function firstDifference(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
): number | undefined {
  for (let index = 0; index < Math.max(found.length, expected.length); index += 1) {
    const want = expected[index] ?? Number.NaN;
    const distance = Math.abs((found[index] ?? Number.NaN) - want);
    // NaN is within no tolerance.
    if (!(distance <= PROBE_TOLERANCE * Math.max(1, Math.abs(want)))) return index;
  }
  return undefined;
}
