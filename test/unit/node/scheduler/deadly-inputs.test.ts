import type * as crypto from 'node:crypto';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { DeadlyInputs } from '../../../../node/scheduler/deadly-inputs.ts';
import { Tensor } from '../../../../protocols/tensor.ts';

/** Bytes that were hashed since the test began. */
const hashed = vi.hoisted(() => ({ bytes: 0 }));

vi.mock('node:crypto', async (importOriginal) => {
  const original = await importOriginal<typeof crypto>();
  return {
    ...original,
    createHash: (algorithm: string) => {
      const hash = original.createHash(algorithm);
      const update = hash.update.bind(hash);
      hash.update = (data: crypto.BinaryLike) => {
        hashed.bytes += typeof data === 'string' ? data.length : data.byteLength;
        return update(data);
      };
      return hash;
    },
  };
});

beforeEach(() => {
  hashed.bytes = 0;
});

const MIB = 1024 * 1024;

/** One input of a MiB, its bytes all alike but for those named. */
function inputOf(fill: number, changes: Readonly<Record<number, number>> = {}) {
  const bytes = new Uint8Array(MIB).fill(fill);
  for (const [index, value] of Object.entries(changes)) bytes[Number(index)] = value;
  return [{ name: 'x', tensor: new Tensor('UINT8', [MIB], bytes) }];
}

function killedBy(...inputs: readonly ReturnType<typeof inputOf>[]): DeadlyInputs {
  const deadly = new DeadlyInputs();
  for (const input of inputs) deadly.add(input);
  return deadly;
}

describe('DeadlyInputs', () => {
  test('refuses an input after its second kill, and not after its first', () => {
    const deadly = killedBy(inputOf(1));
    expect(() => deadly.check(inputOf(1))).not.toThrow();
    deadly.add(inputOf(1));
    expect(() => deadly.check(inputOf(1))).toThrow('has ended the model');
  });

  test('lets an input pass that differs in one byte between the samples', () => {
    const deadly = killedBy(inputOf(1), inputOf(1));
    expect(() => deadly.check(inputOf(1, { 100: 2 }))).not.toThrow();
    expect(() => deadly.check(inputOf(1, { [MIB - 100]: 2 }))).not.toThrow();
    expect(hashed.bytes).toBeGreaterThan(MIB);
  });

  test('costs nothing while no input was deadly', () => {
    new DeadlyInputs().check(inputOf(1));
    expect(hashed.bytes).toBe(0);
  });

  test('costs an input that looks like no deadly one a sample and not its length', () => {
    const deadly = killedBy(inputOf(1), inputOf(1));
    hashed.bytes = 0;
    deadly.check(inputOf(2));
    deadly.check(inputOf(1, { 0: 2 }));
    deadly.check(inputOf(1, { [MIB - 1]: 2 }));
    expect(hashed.bytes).toBeLessThan(8 * 1024);
  });

  test('remembers 64, and forgets the oldest for one more', () => {
    const deadly = killedBy(inputOf(0), inputOf(0));
    for (let fill = 1; fill <= 63; fill += 1) deadly.add(inputOf(fill));
    expect(() => deadly.check(inputOf(0))).toThrow('has ended the model');
    deadly.add(inputOf(64));
    expect(() => deadly.check(inputOf(0))).not.toThrow();
  });
});
