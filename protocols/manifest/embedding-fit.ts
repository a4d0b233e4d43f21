import { quoted } from '../quoted.ts';
import { formatShape } from '../tensor.ts';
import type { TensorSpec } from '../types.ts';
import { type Embedding, resolveEmbedding } from './embedding.ts';

/** The inputs that a text becomes, by the names that exports of such models have. */
export const TOKEN_INPUTS = {
  ids: 'input_ids',
  /** 1 for a token, 0 for what fills a shorter text up. */
  mask: 'attention_mask',
  /** 0: each text stands alone. */
  types: 'token_type_ids',
} as const;

/** A field of `embedding` that the model cannot do. */
export interface EmbeddingFault {
  readonly field: 'output' | 'tokenizer';
  readonly message: string;
}

/** What is wrong between the embedding and the model: tokens must be all it takes, and floats what it gives. */
export function findEmbeddingFaults(
  embedding: Embedding,
  { inputs, outputs }: Readonly<Record<'inputs' | 'outputs', readonly TensorSpec[]>>,
): EmbeddingFault[] {
  const faults: EmbeddingFault[] = [];
  const { ids, mask, types } = TOKEN_INPUTS;
  for (const name of [ids, mask]) {
    if (inputs.some((input) => input.name === name)) continue;
    faults.push({ field: 'tokenizer', message: `the model has no input '${name}'` });
  }
  const known = new Set<string>([ids, mask, types]);
  for (const { name, datatype, shape } of inputs) {
    if (!known.has(name)) {
      const message = `the model takes ${quoted(name)}, expected '${ids}', '${mask}' and '${types}' alone`;
      faults.push({ field: 'tokenizer', message });
    } else if (datatype !== 'INT64' || shape.length !== 2) {
      const message = `input '${name}' is ${datatype}${formatShape(shape)}, expected INT64[texts, tokens]`;
      faults.push({ field: 'tokenizer', message });
    }
  }
  const output = outputs.find(({ name }) => name === embedding.output);
  if (output === undefined) return faults;
  const { pooling } = resolveEmbedding(embedding);
  const rank = pooling === 'none' ? 2 : 3;
  if (!output.datatype.startsWith('FP') || output.shape.length !== rank) {
    const wanted = pooling === 'none' ? '[texts, size]' : '[texts, tokens, size]';
    const message = `is ${output.datatype}${formatShape(output.shape)}, expected floats${wanted} for pooling '${pooling}'`;
    faults.push({ field: 'output', message });
  }
  return faults;
}
