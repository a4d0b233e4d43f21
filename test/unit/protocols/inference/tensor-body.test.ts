import * as fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { describeTensors } from '../../../../protocols/inference/descriptor.ts';
import { TensorReceiver, TensorSender } from '../../../../protocols/inference/tensor-body.ts';
import { type NamedTensor, Tensor } from '../../../../protocols/tensor.ts';

function tensors(sizes: readonly number[]): NamedTensor[] {
  let next = 0;
  return sizes.map((size, index) => ({
    name: `t${index}`,
    tensor: new Tensor(
      'UINT8',
      [size],
      Uint8Array.from({ length: size }, () => next++ % 256),
    ),
  }));
}

describe('TensorSender', () => {
  it('hands out no more than asked for and no more than it has credit for', () => {
    const sender = new TensorSender(1, tensors([10]), 4);
    expect(sender.take(3).map((piece) => [...piece])).toEqual([[0, 1, 2]]);
    expect(sender.take(3).map((piece) => [...piece])).toEqual([[3]]);
    expect(sender.take(3)).toEqual([]);
    expect(sender.done).toBe(false);
    sender.grant(100);
    expect(sender.take(100).map((piece) => [...piece])).toEqual([[4, 5, 6, 7, 8, 9]]);
    expect(sender.done).toBe(true);
    expect(sender.take(100)).toEqual([]);
  });

  it('tells that bytes have left, and only then', () => {
    const onTake = vi.fn();
    const sender = new TensorSender(1, tensors([2]), 0, onTake);
    sender.take(10);
    expect(onTake).not.toHaveBeenCalled();
    sender.grant(2);
    sender.take(10);
    expect(onTake).toHaveBeenCalledTimes(1);
  });

  it('is done at once when there are no bytes', () => {
    expect(new TensorSender(1, [], 0).done).toBe(true);
    expect(new TensorSender(1, tensors([0, 0]), 0).done).toBe(true);
  });

  it('refers to the tensors without a copy', () => {
    const named = tensors([10]);
    const [piece] = new TensorSender(1, named, 10).take(10);
    expect(piece?.buffer).toBe(named[0]?.tensor.bytes.buffer);
  });
});

describe('TensorReceiver', () => {
  it('keeps a tensor where it came when the bytes are its own to keep, and copies all others', () => {
    const named = tensors([3, 0, 4, 5]);
    const bytes = Buffer.concat(named.map(({ tensor }) => tensor.bytes));
    const receiver = new TensorReceiver(describeTensors(named));
    // The third comes in two pieces, so that it is put together.
    receiver.push(bytes.subarray(0, 5), true);
    receiver.push(bytes.subarray(5), true);
    expect(receiver.complete).toBe(true);
    const found = receiver.tensors();
    expect(found).toEqual(named);
    const kept = found.map(({ tensor }) => tensor.bytes.buffer === bytes.buffer);
    expect([kept[0], kept[2], kept[3]]).toEqual([true, false, true]);
    const borrowed = new TensorReceiver(describeTensors(named));
    borrowed.push(bytes);
    bytes.fill(255);
    expect(borrowed.tensors()).toEqual(named);
  });

  it('is complete at once when there are no bytes', () => {
    for (const sizes of [[], [0], [0, 0]]) {
      const receiver = new TensorReceiver(describeTensors(tensors(sizes)));
      expect(receiver.complete).toBe(true);
      expect(receiver.tensors()).toEqual(tensors(sizes));
    }
  });

  it('takes the last byte and refuses one more', () => {
    const receiver = new TensorReceiver(describeTensors(tensors([3, 0])));
    receiver.push(Uint8Array.of(0, 1, 2));
    expect(receiver.complete).toBe(true);
    expect(() => receiver.push(Uint8Array.of(3))).toThrow('body has 4 bytes, expected 3');
  });

  it('aligns what arrives at any offset', () => {
    const named = [...tensors([3]), { name: 'f', tensor: Tensor.from('FP64', [2], [1.5, -2]) }];
    const receiver = new TensorReceiver(describeTensors(named));
    receiver.push(Buffer.concat(named.map(({ tensor }) => tensor.bytes)));
    expect(receiver.tensors()[1]?.tensor.data).toEqual(Float64Array.of(1.5, -2));
  });

  it('gets back what a sender takes apart, however it is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 300 }), { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 8 }),
        (sizes, cuts) => {
          const named = tensors(sizes);
          const sender = new TensorSender(1, named, Number.MAX_SAFE_INTEGER);
          const receiver = new TensorReceiver(describeTensors(named));
          for (let turn = 0; !sender.done; turn += 1) {
            expect(receiver.complete).toBe(false);
            const pieces = sender.take(cuts[turn % cuts.length] ?? 1);
            receiver.push(Buffer.concat(pieces));
          }
          expect(receiver.complete).toBe(true);
          expect(receiver.tensors()).toEqual(named);
        },
      ),
    );
  });
});
