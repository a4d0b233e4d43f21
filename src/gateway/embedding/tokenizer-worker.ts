/** The thread of one tokenizer, whose file strangers have written: it is bounded, and ended from outside. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import * as library from '@huggingface/tokenizers';
import type { TokenizerAnswer, TokenizerInit, TokenizerQuestion } from './tokenizer-port.ts';

/** What is used of it: its own declarations refer to each other in a way that Node's resolution does not follow. */
interface Tokenizer {
  encode(text: string): { readonly ids: readonly number[] };
  get_vocab(): ReadonlyMap<string, number>;
}

const { Tokenizer } = library as unknown as {
  readonly Tokenizer: new (tokenizer: object, config: object) => Tokenizer;
};

function serve(port: MessagePort): void {
  const answer = (give: () => TokenizerAnswer): void => {
    let given: TokenizerAnswer;
    try {
      given = give();
    } catch (error) {
      given = { type: 'failed', message: error instanceof Error ? error.message : String(error) };
    }
    port.postMessage(given, []);
  };
  let tokenizer: Tokenizer | undefined;
  answer(() => {
    tokenizer = open((workerData as TokenizerInit).file);
    return { type: 'ready', vocabulary: vocabularyOf(tokenizer) };
  });
  port.on('message', (texts: TokenizerQuestion) =>
    answer(() => {
      if (tokenizer === undefined) throw new Error('it could not read its file');
      const encode = (text: string) => Int32Array.from(tokenizer?.encode(text).ids ?? []);
      return { type: 'tokens', tokens: texts.map(encode) };
    }),
  );
}

function open(file: Uint8Array): Tokenizer {
  const content: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(file));
  if (typeof content !== 'object' || content === null) throw new Error('it is no object');
  // What it would read of a tokenizer_config.json is about decoding, and about text that the normalizer sees to.
  return new Tokenizer(content, {});
}

function vocabularyOf(tokenizer: Tokenizer): number {
  let last = -1;
  for (const id of tokenizer.get_vocab().values()) last = Math.max(last, id);
  return last + 1;
}

if (parentPort !== null) serve(parentPort);
