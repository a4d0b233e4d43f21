import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Datatype } from '../../../protocols/datatype.ts';
import { encodeElements } from '../../../protocols/element-encoder.ts';
import type { TensorData } from '../../../protocols/tensor.ts';

/** An array whose second item was never set. */
function withHole<Element>(value: Element): Element[] {
  const values = [value, value, value];
  Reflect.deleteProperty(values, 1);
  return values;
}

/** Runs as on a runtime without `Float16Array`. */
function withoutFloat16<T>(run: () => T): T {
  const native = Object.getOwnPropertyDescriptor(globalThis, 'Float16Array');
  Reflect.deleteProperty(globalThis, 'Float16Array');
  try {
    return run();
  } finally {
    if (native !== undefined) Object.defineProperty(globalThis, 'Float16Array', native);
  }
}

describe('encodeElements', () => {
  it.each<Datatype>(['FP16', 'FP32', 'FP64', 'INT8', 'UINT32', 'INT64', 'BOOL', 'BYTES'])(
    'refuses %s elements that an array has left out',
    (datatype) => {
      const values: TensorData = datatype === 'BYTES' ? withHole('a') : withHole(1);
      expect(() => encodeElements(datatype, values)).toThrow(
        `element 1 is undefined (undefined), which is not a ${datatype} value`,
      );
    },
  );

  it.each<[Datatype, number | bigint, number | bigint]>([
    ['UINT8', 0, 255],
    ['UINT16', 0, 65_535],
    ['UINT32', 0, 2 ** 32 - 1],
    ['UINT64', 0n, 2n ** 64n - 1n],
    ['INT8', -128, 127],
    ['INT16', -32_768, 32_767],
    ['INT32', -(2 ** 31), 2 ** 31 - 1],
    ['INT64', -(2n ** 63n), 2n ** 63n - 1n],
  ])(
    'takes %s from %d to %d, as numbers and bigints, and nothing beyond',
    (datatype, low, high) => {
      expect(() => encodeElements(datatype, [low, high] as number[])).not.toThrow();
      expect(encodeElements(datatype, [BigInt(low), BigInt(high)])).toEqual(
        encodeElements(datatype, [low, high] as number[]),
      );
      for (const beyond of [BigInt(low) - 1n, BigInt(high) + 1n]) {
        expect(() => encodeElements(datatype, [beyond])).toThrow(
          `element 0 is ${beyond}n (bigint)`,
        );
      }
    },
  );

  it('rounds to FP16 the same with and without a runtime that knows it', () => {
    fc.assert(
      fc.property(fc.array(fc.double()), (numbers) => {
        const known = encodeElements('FP16', numbers);
        expect(withoutFloat16(() => encodeElements('FP16', numbers))).toEqual(known);
      }),
    );
  });

  it('converts typed arrays of another kind element by element', () => {
    const fp32 = encodeElements('FP32', Float64Array.of(0.1, -1));
    expect(new Float32Array(fp32.buffer)).toEqual(Float32Array.of(0.1, -1));
    const int64 = encodeElements('INT64', Int16Array.of(-1, 7));
    expect(new BigInt64Array(int64.buffer)).toEqual(BigInt64Array.of(-1n, 7n));
    expect(() => encodeElements('FP32', BigInt64Array.of(1n))).toThrow('element 0 is 1n (bigint)');
    expect(() => encodeElements('INT8', Float32Array.of(0.5))).toThrow('element 0 is 0.5 (number)');
  });
});
