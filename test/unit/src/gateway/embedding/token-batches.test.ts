import { describe, expect, it } from 'vitest';
import type { DeclaredDimension, TensorSpec } from '../../../../../protocols/types.ts';
import {
  fixedTokens,
  planTokenBatches,
  type TokenBatchesInit,
} from '../../../../../src/gateway/embedding/token-batches.ts';

const inputsOf = (shape: readonly DeclaredDimension[]): TensorSpec[] =>
  ['token_type_ids', 'attention_mask', 'input_ids'].map((name) => ({
    ...{ name, datatype: 'INT64', shape },
  }));

const FREE: TokenBatchesInit = { inputs: inputsOf(['texts', 'tokens']), maxBatch: null };

const text = (length: number, id = 7): Int32Array => new Int32Array(length).fill(id);

describe('planTokenBatches', () => {
  it('fills shorter texts up to the longest of their batch, and says what is text', () => {
    const [batch, ...others] = planTokenBatches([text(3, 5), text(1, 6)], FREE);
    expect(others).toEqual([]);
    expect([batch?.texts, batch?.lengths]).toEqual([
      [1, 0],
      [1, 3],
    ]);
    const inputs = Object.entries(batch?.inputs ?? {});
    expect(inputs.map(([name, tensor]) => [name, tensor.toNestedArray()])).toEqual([
      [
        'token_type_ids',
        [
          [0n, 0n, 0n],
          [0n, 0n, 0n],
        ],
      ],
      [
        'attention_mask',
        [
          [1n, 0n, 0n],
          [1n, 1n, 1n],
        ],
      ],
      [
        'input_ids',
        [
          [6n, 0n, 0n],
          [5n, 5n, 5n],
        ],
      ],
    ]);
  });

  it.each<readonly [string, readonly number[], Partial<TokenBatchesInit>, readonly number[]]>([
    ['32 rows', Array.from({ length: 33 }, () => 1), {}, [32, 1]],
    ['the rows that the version takes', [1, 1, 1, 1, 1], { maxBatch: 2 }, [2, 2, 1]],
    ['8192 tokens', [4096, 4096, 4097], {}, [2, 1]],
    ['one text, however long', [20_000], {}, [1]],
    ['the rows that the model fixes', [1, 1, 1], { inputs: inputsOf([2, null]) }, [2, 1]],
  ])('puts at most %s into a batch', (_, lengths, changes, sizes) => {
    const batches = planTokenBatches(
      lengths.map((length) => text(length)),
      { ...FREE, ...changes },
    );
    expect(batches.map(({ texts }) => texts.length)).toEqual(sizes);
    const all = batches.flatMap(({ texts }) => texts);
    expect(all.toSorted((a, b) => a - b)).toEqual([...lengths.keys()]);
  });

  it('repeats the last text where the model fixes more rows than are left', () => {
    const inputs = inputsOf([3, 2]);
    const [batch] = planTokenBatches([text(1)], { inputs, maxBatch: null });
    expect([batch?.texts, batch?.inputs['attention_mask']?.toNestedArray()]).toEqual([
      [0],
      [
        [1n, 0n],
        [1n, 0n],
        [1n, 0n],
      ],
    ]);
    expect([fixedTokens(inputs), fixedTokens(FREE.inputs)]).toEqual([2, undefined]);
  });
});
