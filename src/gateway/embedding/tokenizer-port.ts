/** What the thread of a tokenizer starts with, is asked, and answers: one question at a time. */

export interface TokenizerInit {
  /** Bytes of a `tokenizer.json`. */
  readonly file: Uint8Array;
}

/** Texts to tokenize. */
export type TokenizerQuestion = readonly string[];

export type TokenizerAnswer =
  /** It has read its file; `vocabulary` is above all ids that it knows. */
  | { readonly type: 'ready'; readonly vocabulary: number }
  /** Token ids of each text, those that the tokenizer adds included. */
  | { readonly type: 'tokens'; readonly tokens: readonly Int32Array[] }
  /** It cannot read its file, or a text. */
  | { readonly type: 'failed'; readonly message: string };
