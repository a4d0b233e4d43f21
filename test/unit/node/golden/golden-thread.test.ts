import { describe, expect, it } from 'vitest';
import { judgeInThread } from '../../../../node/golden/golden-thread.ts';
import type { NamedTensor } from '../../../../protocols/tensor.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import { formatGoldenFile } from '../../../../src/model/golden-file.ts';
import { refusal } from '../../../support/refusal.ts';

const MODEL = {
  inputs: [
    { name: 'x', datatype: 'FP32', shape: ['n'] },
    { name: 'words', datatype: 'BYTES', shape: [] },
  ],
  outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
} as const;

const OPTIONS = {
  fileName: 'golden.json',
  model: MODEL,
  tolerance: undefined,
  signal: AbortSignal.timeout(20_000),
};

const fp32 = (...values: number[]) => Tensor.from('FP32', [values.length], values);
const answer = (tensor: Tensor): NamedTensor[] => [{ name: 'y', tensor }];

const vectors = (...expected: number[]): Uint8Array<ArrayBuffer> => {
  const words = Tensor.from('BYTES', [], ['é']);
  const cases = expected.map((value) => ({
    inputs: [
      { name: 'x', tensor: fp32(value, 2) },
      { name: 'words', tensor: words },
    ],
    outputs: [{ name: 'y', tensor: fp32(value, 4) }],
  }));
  return new Uint8Array(formatGoldenFile(cases));
};

describe('judgeInThread', () => {
  it('asks one vector after the other, tensors bit by bit, and finds nothing wrong with right answers', async () => {
    const judging = judgeInThread(vectors(1, Number.NaN), OPTIONS);
    const first = await judging.next([]);
    expect(first.value).toEqual({
      inputs: [
        { name: 'x', tensor: fp32(1, 2) },
        { name: 'words', tensor: Tensor.from('BYTES', [], ['é']) },
      ],
      wanted: ['y'],
    });
    expect((await judging.next(answer(fp32(1, 4)))).done).toBe(false);
    const end = await judging.next(answer(fp32(Number.NaN, 4.001)));
    expect(end).toEqual({ done: true, value: undefined });
  });

  it('returns the first difference, and asks nothing after it', async () => {
    const judging = judgeInThread(vectors(1, 2), OPTIONS);
    await judging.next([]);
    expect(await judging.next(answer(fp32(1, 5)))).toEqual({
      done: true,
      value: {
        ...{ output: 'y', element: 1, expected: '4', found: '5' },
        tolerance: { absolute: 0.001, relative: 0.01 },
      },
    });
  });

  it('takes answers that are views of one memory, which stays the caller’s', async () => {
    const judging = judgeInThread(vectors(1), OPTIONS);
    await judging.next([]);
    const memory = new Uint8Array(16);
    memory.set(fp32(1, 4).bytes, 8);
    const view = new Tensor('FP32', [2], memory.subarray(8));
    expect(await judging.next(answer(view))).toEqual({ done: true, value: undefined });
    expect(view.bytes).toEqual(fp32(1, 4).bytes);
  });

  it('refuses vectors that are not for the model as its reader does', async () => {
    const bytes = new TextEncoder().encode('{"cases": [{"inputs": [], "outputs": []}]}');
    await expect(judgeInThread(bytes, OPTIONS).next([])).rejects.toEqual(
      refusal('ERR_INVALID_MODEL', /^golden\.json field cases\[0\]\.outputs/),
    );
  });

  it('ends with the reason of its signal, while it reads or waits for an answer', async () => {
    const reason = new Error('the node stops');
    const early = judgeInThread(vectors(1), { ...OPTIONS, signal: AbortSignal.abort(reason) });
    await expect(early.next([])).rejects.toBe(reason);
    const controller = new AbortController();
    const late = judgeInThread(vectors(1, 2), { ...OPTIONS, signal: controller.signal });
    await late.next([]);
    const next = late.next(answer(fp32(1, 4)));
    controller.abort(reason);
    await expect(next).rejects.toBe(reason);
  });
});
