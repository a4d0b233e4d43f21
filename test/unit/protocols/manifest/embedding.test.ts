import { describe, expect, it } from 'vitest';
import { embeddingSchema } from '../../../../protocols/manifest/embedding.ts';
import {
  type Embedding,
  findEmbeddingFaults,
  resolveEmbedding,
  strictEmbeddingSchema,
} from '../../../../protocols/manifest/index.ts';
import type { TensorSpec } from '../../../../protocols/types.ts';

const EMBEDDING: Embedding = { tokenizer: 'tokenizer.json', output: 'y' };

describe('resolveEmbedding', () => {
  it('fills the defaults in and keeps what is said', () => {
    expect(resolveEmbedding(EMBEDDING)).toEqual({
      ...EMBEDDING,
      ...{ pooling: 'mean', normalize: true, maxTokens: 512 },
    });
    const said = { ...EMBEDDING, pooling: 'cls', normalize: false, maxTokens: 8 } as const;
    expect(resolveEmbedding(said)).toEqual(said);
  });
});

describe('strictEmbeddingSchema', () => {
  it("refuses a key that the manifest's schema passes over", () => {
    const later = { ...EMBEDDING, prompt: 'query: ' };
    expect(strictEmbeddingSchema.safeParse(later).success).toBe(false);
    expect(embeddingSchema.parse(later)).toEqual(EMBEDDING);
  });

  it.each([
    { tokenizer: '../tokenizer.json' },
    { output: '' },
    { pooling: 'max' },
    { maxTokens: 0 },
    { maxTokens: 1_048_577 },
    { minDimensions: 0 },
    { minDimensions: 65_537 },
    { normalize: 1 },
  ])('refuses %j', (changes) => {
    expect(strictEmbeddingSchema.safeParse({ ...EMBEDDING, ...changes }).success).toBe(false);
  });
});

describe('findEmbeddingFaults', () => {
  const tokens = (name: string, changes: Partial<TensorSpec> = {}): TensorSpec => ({
    ...{ name, datatype: 'INT64', shape: ['texts', 'tokens'] },
    ...changes,
  });
  const y: TensorSpec = { name: 'y', datatype: 'FP32', shape: ['texts', 'tokens', 4] };
  const [ids, mask] = [tokens('input_ids'), tokens('attention_mask')];

  it.each<readonly [Partial<Embedding>, readonly TensorSpec[], TensorSpec]>([
    [{}, [ids, mask], y],
    [{ pooling: 'last' }, [mask, tokens('token_type_ids'), ids], { ...y, datatype: 'FP16' }],
    [{ pooling: 'none' }, [ids, mask], { ...y, shape: [null, 4] }],
  ])('finds none in %j of a model that fits', (changes, inputs, output) => {
    const model = { inputs, outputs: [output] };
    expect(findEmbeddingFaults({ ...EMBEDDING, ...changes }, model)).toEqual([]);
  });

  it.each<readonly [string, readonly TensorSpec[], TensorSpec]>([
    ["tokenizer: the model has no input 'attention_mask'", [ids], y],
    [
      "tokenizer: the model takes 'pixels', expected 'input_ids', 'attention_mask' and 'token_type_ids' alone",
      [ids, mask, tokens('pixels')],
      y,
    ],
    [
      "tokenizer: input 'input_ids' is INT32[texts, tokens], expected INT64[texts, tokens]",
      [tokens('input_ids', { datatype: 'INT32' }), mask],
      y,
    ],
    [
      "output: is FP32[texts, 4], expected floats[texts, tokens, size] for pooling 'mean'",
      [ids, mask],
      { ...y, shape: ['texts', 4] },
    ],
    [
      "output: is INT64[texts, tokens, 4], expected floats[texts, tokens, size] for pooling 'mean'",
      [ids, mask],
      { ...y, datatype: 'INT64' },
    ],
  ])('finds %s', (fault, inputs, output) => {
    const faults = findEmbeddingFaults(EMBEDDING, { inputs, outputs: [output] });
    expect(faults.map(({ field, message }) => `${field}: ${message}`)).toEqual([fault]);
  });
});
