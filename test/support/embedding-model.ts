import type { Embedding } from '../../protocols/manifest/index.ts';
import type { DeclaredDimension } from '../../protocols/types.ts';
import { buildModel } from './onnx-builder.ts';

const WORDS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'the', 'cat', 'dog', 'sat', 'ran', '##s', '!'];

/** Numbers of a vector. */
export const VECTOR_SIZE = 6;

const special = (id: number): object => ({
  ...{ id, content: WORDS[id], single_word: false, lstrip: false, rstrip: false },
  ...{ normalized: false, special: true },
});

/** A tokenizer of a few words, in the form that BERT's have: lower case, WordPiece, `[CLS] … [SEP]`. */
export const TOKENIZER = {
  version: '1.0',
  added_tokens: [0, 1, 2, 3].map(special),
  normalizer: { type: 'BertNormalizer', clean_text: true, lowercase: true, strip_accents: null },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '[CLS]', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '[SEP]', type_id: 0 } },
    ],
    pair: [],
    special_tokens: {
      '[CLS]': { id: '[CLS]', ids: [2], tokens: ['[CLS]'] },
      '[SEP]': { id: '[SEP]', ids: [3], tokens: ['[SEP]'] },
    },
  },
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])),
  },
} as const;

/** What the model gives for a token by itself. */
export function tokenVector(id: number): number[] {
  return Array.from({ length: VECTOR_SIZE }, (_, index) => Math.sin(1 + id * 7 + index * 3));
}

/**
 * `last_hidden_state FP32 [texts, tokens, 6]` of `input_ids` and `attention_mask`: each token's own vector; what only fills up is
 * far off, so that whoever counts it in is wrong.
 */
export function embeddingModel(
  shape: readonly DeclaredDimension[] = ['texts', 'tokens'],
): Uint8Array {
  const table = WORDS.flatMap((_, id) => tokenVector(id));
  return buildModel({
    inputs: ['input_ids', 'attention_mask'].map((name) => ({ name, datatype: 'INT64', shape })),
    outputs: [{ name: 'last_hidden_state', datatype: 'FP32', shape: [...shape, VECTOR_SIZE] }],
    nodes: [
      { op: 'Gather', inputs: ['table', 'input_ids'], outputs: ['vectors'] },
      {
        ...{ op: 'Cast', inputs: ['attention_mask'], outputs: ['mask'] },
        attributes: { to: { int: 1 } },
      },
      { op: 'Sub', inputs: ['mask', 'one'], outputs: ['filling'] },
      { op: 'Mul', inputs: ['filling', 'far'], outputs: ['away'] },
      { op: 'Unsqueeze', inputs: ['away', 'last'], outputs: ['offset'] },
      { op: 'Add', inputs: ['vectors', 'offset'], outputs: ['last_hidden_state'] },
    ],
    initializers: [
      { name: 'table', datatype: 'FP32', shape: [WORDS.length, VECTOR_SIZE], data: table },
      { name: 'one', datatype: 'FP32', shape: [], data: [1] },
      { name: 'far', datatype: 'FP32', shape: [], data: [1000] },
      { name: 'last', datatype: 'INT64', shape: [1], data: [2n] },
    ],
  });
}

/** The files that stand beside the model in its package. */
export function embeddingFiles(
  embedding: Partial<Embedding> = {},
  tokenizer: object | string = TOKENIZER,
): Readonly<Record<string, string>> {
  return {
    'tokenizer.json': typeof tokenizer === 'string' ? tokenizer : JSON.stringify(tokenizer),
    'swarm.json': JSON.stringify({
      metadata: { task: 'text-embedding' },
      embedding: { tokenizer: 'tokenizer.json', output: 'last_hidden_state', ...embedding },
    }),
  };
}
