import { z } from 'zod';
import { fileNameSchema } from './file-name.ts';

/** Tokens of one text that a model may be declared for. */
const MAX_TOKENS = 1_048_576;

/** How a text becomes a vector: it is tokenized, the model runs on the tokens, what it gives for each of them is pooled. */
export interface Embedding {
  /** File of the version that tells the tokens, in the form of Hugging Face's `tokenizer.json`. */
  readonly tokenizer: string;
  /** The output with the vectors: of each token [texts, tokens, size], without pooling of each text [texts, size]. */
  readonly output: string;
  /** `mean` of all tokens, the first (`cls`) or the `last` of them; `none` where the model has pooled. @default 'mean' */
  readonly pooling?: 'mean' | 'cls' | 'last' | 'none' | undefined;
  /** Whether vectors are brought to length 1. @default true */
  readonly normalize?: boolean | undefined;
  /** Tokens of one text, those that the tokenizer adds included; a longer text is refused. @default 512 */
  readonly maxTokens?: number | undefined;
  /** The shortest beginning of a vector that still is one; absent where the model was not trained for that. @see https://arxiv.org/abs/2205.13147 */
  readonly minDimensions?: number | undefined;
}

export type ResolvedEmbedding = Embedding & {
  readonly [Key in 'pooling' | 'normalize' | 'maxTokens']-?: Exclude<Embedding[Key], undefined>;
};

/** The task of a model whose `embedding` is for callers that send text. */
export const EMBEDDING_TASK = 'text-embedding';

export const DEFAULT_MAX_TOKENS = 512;

const shape = {
  tokenizer: fileNameSchema.describe('File of the package that tells the tokens: tokenizer.json.'),
  output: z.string().min(1).max(1024),
  pooling: z.enum(['mean', 'cls', 'last', 'none']).optional(),
  normalize: z.boolean().optional(),
  maxTokens: z.int().min(1).max(MAX_TOKENS).optional(),
  minDimensions: z.int().min(1).max(65_536).optional(),
};

/** As a manifest has it: keys of a later program are ignored. */
export const embeddingSchema = z.object(shape);

/** As a package file has it: an unknown key is an error. */
export const strictEmbeddingSchema = z.strictObject(shape);

/** Fills the defaults in. */
export function resolveEmbedding(embedding: Embedding): ResolvedEmbedding {
  return {
    ...embedding,
    pooling: embedding.pooling ?? 'mean',
    normalize: embedding.normalize ?? true,
    maxTokens: embedding.maxTokens ?? DEFAULT_MAX_TOKENS,
  };
}
