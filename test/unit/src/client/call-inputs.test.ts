import { describe, expect, it, vi } from 'vitest';
import type { Manifest } from '../../../../protocols/manifest/index.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import type { VersionCid } from '../../../../protocols/types.ts';
import {
  type InferInputs,
  JoinedInputs,
  type ReadManifest,
  SingleInputs,
} from '../../../../src/client/call-inputs.ts';

const CID = 'bafyversion' as VersionCid;
const SIGNAL = new AbortController().signal;
const MANIFEST = {
  inputs: [
    { name: 'x', datatype: 'FP32', shape: ['batch', 2] },
    { name: 'n', datatype: 'INT64', shape: ['batch'] },
  ],
} as unknown as Manifest;

const x = (...rows: number[][]): Tensor => Tensor.of('FP32', rows);
const reader = () => vi.fn<ReadManifest>(async () => MANIFEST);

describe('SingleInputs', () => {
  it('needs no manifest for tensors', async () => {
    const readManifest = reader();
    const inputs = new SingleInputs({ x: x([1, 2]) }, readManifest);
    expect(inputs.tensors).toEqual([{ name: 'x', tensor: x([1, 2]) }]);
    expect(await inputs.resolve(CID, SIGNAL)).toBe(inputs.tensors);
    expect(readManifest).not.toHaveBeenCalled();
  });

  it('makes tensors of plain values by the manifest of the version, beside those that are tensors', async () => {
    const readManifest = reader();
    const inputs = new SingleInputs({ x: x([1, 2]), n: [7n] }, readManifest);
    expect(inputs.tensors).toBeUndefined();
    expect(await inputs.resolve(CID, SIGNAL)).toEqual([
      { name: 'x', tensor: x([1, 2]) },
      { name: 'n', tensor: Tensor.from('INT64', [1], [7n]) },
    ]);
    expect(readManifest.mock.calls).toEqual([[CID, SIGNAL]]);
  });

  it('refuses what is no object of inputs, and names that the model has not', async () => {
    expect(() => new SingleInputs(null as unknown as InferInputs, reader())).toThrow(
      'expected inputs as an object of them by name, found null',
    );
    expect(() => new SingleInputs([x([1, 2])] as unknown as InferInputs, reader())).toThrow(
      'expected inputs as an object of them by name, found an array of 1',
    );
    expect(() => new SingleInputs(x([1, 2]) as unknown as InferInputs, reader())).toThrow(
      'expected inputs as an object of them by name, found a tensor',
    );
    await expect(new SingleInputs({ y: [1] }, reader()).resolve(CID, SIGNAL)).rejects.toThrow(
      "unknown input 'y', the model has 'x', 'n'",
    );
  });
});

describe('JoinedInputs', () => {
  it.each([
    [null, 'found null'],
    [{ x: 1 }, 'found an object'],
  ])('refuses %j, which is no array of requests', (requests, found) => {
    expect(() => new JoinedInputs(requests as unknown as InferInputs[], reader())).toThrow(
      `expected a batch as an array of requests, ${found}`,
    );
  });

  it('joins the rows of each input, whatever the order of the inputs, and knows whose they are', async () => {
    const requests = [
      { x: x([1, 2]), n: [1] },
      { n: [2, 3], x: x([3, 4], [5, 6]) },
    ];
    const joined = new JoinedInputs(requests, reader());
    expect(await joined.resolve(CID, SIGNAL)).toEqual([
      { name: 'x', tensor: x([1, 2], [3, 4], [5, 6]) },
      { name: 'n', tensor: Tensor.from('INT64', [3], [1n, 2n, 3n]) },
    ]);
    expect(joined.rows).toEqual([1, 2]);
  });

  it.each<[string, InferInputs[], string]>([
    [
      'an input less',
      [{ x: x([1, 2]), n: [1] }, { x: x([1, 2]) }],
      'request 1 of the batch has other inputs than the first',
    ],
    [
      'other inputs',
      [{ x: x([1, 2]) }, { n: [1] }],
      'request 1 of the batch has other inputs than the first',
    ],
    [
      'rows that differ',
      [{ x: x([1, 2]), n: [1, 2] }],
      "input 'n' of request 0 has 2 rows, expected 1",
    ],
    [
      'a scalar',
      [{ x: Tensor.of('FP32', 1) }],
      "input 'x' of request 0 has no rows, expected at least one dimension",
    ],
    [
      'rows of other shapes',
      [{ x: x([1, 2]) }, { x: x([1]) }],
      "input 'x' of the batch: tensor 1 is FP32 with rows of shape [1], expected FP32 with rows of shape [2]",
    ],
    ['no inputs', [{}], 'request 0 of the batch has no inputs'],
  ])('refuses requests with %s', async (_, requests, message) => {
    const joining = new JoinedInputs(requests, reader()).resolve(CID, SIGNAL);
    await expect(joining).rejects.toMatchObject({
      code: 'ERR_INVALID_INPUT',
      message: expect.stringContaining(message),
    });
  });
});
