import { describe, expect, it } from 'vitest';
import type { VersionCid } from '../../../../../protocols/types.ts';
import { TokenizerThread } from '../../../../../src/gateway/embedding/tokenizer-thread.ts';
import { Tokenizers } from '../../../../../src/gateway/embedding/tokenizers.ts';
import { TOKENIZER } from '../../../../support/embedding-model.ts';

const file = (content: unknown) => Buffer.from(JSON.stringify(content));

const signal = AbortSignal.timeout(60_000);

/** Splits at a pattern whose match takes twice as long for each further letter. */
const ENDLESS = {
  ...TOKENIZER,
  normalizer: null,
  pre_tokenizer: { type: 'Split', pattern: { Regex: '^(a+)+$' }, behavior: 'Isolated' },
};

describe('TokenizerThread', () => {
  it('tokenizes texts, one question after the other', async () => {
    await using thread = new TokenizerThread(file(TOKENIZER));
    const questions = [['The cat'], ['dogs!', '']].map((texts) =>
      thread.tokenize(texts, { signal }),
    );
    expect(thread.busy).toBe(true);
    const answers = (await Promise.all(questions)).map((texts) => texts.map((ids) => [...ids]));
    expect(answers).toEqual([
      [[2, 4, 5, 3]],
      [
        [2, 6, 9, 10, 3],
        [2, 3],
      ],
    ]);
    expect([await thread.vocabulary(), thread.busy, thread.alive]).toEqual([11, false, true]);
  });

  it.each([
    ['no JSON', Buffer.from('{')],
    ['no UTF-8', Buffer.from([0xff])],
    ['no object', file(null)],
    ['no tokenizer', file({ model: { type: 'Abacus' } })],
  ])('refuses a file that is %s, and whoever asks', async (_, content) => {
    await using thread = new TokenizerThread(content);
    const refused = { code: 'ERR_INVALID_MODEL', message: /^the tokenizer cannot be used/ };
    for (const answer of [thread.vocabulary(), thread.tokenize(['a'], { signal })]) {
      const { code, message } = await answer.then(
        () => new Error('taken'),
        (error) => error,
      );
      expect({ code, message }).toEqual({
        ...refused,
        message: expect.stringMatching(refused.message),
      });
    }
    expect(thread.alive).toBe(false);
  });

  it('ends a pattern that never does, and has those who wait behind it ask again', async () => {
    await using thread = new TokenizerThread(file(ENDLESS), { answerTimeoutMs: 1_000 });
    expect((await thread.tokenize(['aaa'], { signal }))[0]?.length).toBeGreaterThan(0);
    const answers = await Promise.allSettled(
      [`${'a'.repeat(64)}b`, 'a'].map((text) => thread.tokenize([text], { signal })),
    );
    expect(answers).toMatchObject([
      { reason: { code: 'ERR_DEADLINE' } },
      { reason: { code: 'ERR_BUSY', details: { retryAfterMs: 1_000 } } },
    ]);
    expect(thread.alive).toBe(false);
  });

  it('lets go whoever gives up while it is asked, and counts the question until it is over', async () => {
    await using thread = new TokenizerThread(file(ENDLESS));
    await thread.tokenize(['aaa'], { signal });
    const leaving = AbortSignal.timeout(50);
    const answer = thread.tokenize([`${'a'.repeat(64)}b`], { signal: leaving });
    await expect(answer).rejects.toMatchObject({ name: 'TimeoutError' });
    expect([thread.busy, thread.alive]).toEqual([true, true]);
  });

  it('tells whoever asks for its vocabulary when it leaves memory to ask again', async () => {
    const thread = new TokenizerThread(file(TOKENIZER));
    const vocabulary = thread.vocabulary();
    await Promise.all([
      expect(vocabulary).rejects.toMatchObject({ code: 'ERR_BUSY' }),
      thread[Symbol.asyncDispose](),
    ]);
  });

  it('does not ask for who has gone when its turn comes', async () => {
    await using thread = new TokenizerThread(file(TOKENIZER));
    const gone = AbortSignal.abort(new DOMException('gone', 'AbortError'));
    await expect(thread.tokenize(['cat'], { signal: gone })).rejects.toThrow('gone');
    expect(await thread.tokenize(['cat'], { signal })).toHaveLength(1);
  });

  it('takes 256 waiting questions and refuses another', async () => {
    await using thread = new TokenizerThread(file(TOKENIZER));
    const waiting = Array.from({ length: 256 }, () => thread.tokenize(['cat'], { signal }));
    await expect(thread.tokenize(['cat'], { signal })).rejects.toMatchObject({ code: 'ERR_BUSY' });
    await Promise.all(waiting);
    expect(await thread.tokenize(['cat'], { signal })).toHaveLength(1);
  });
});

describe('Tokenizers', () => {
  it('reads a file once for all who want it, and keeps the eight that were asked for last', async () => {
    await using tokenizers = new Tokenizers();
    const reads: string[] = [];
    const open = (cid: string) =>
      tokenizers.of(
        cid as VersionCid,
        async () => {
          reads.push(cid);
          return file(TOKENIZER);
        },
        { signal },
      );
    const [first, same] = await Promise.all([open('0'), open('0')]);
    expect(first).toBe(same);
    for (const cid of ['1', '2', '3', '4', '5', '6', '7', '0', '8', '0', '1']) await open(cid);
    expect(reads).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '1']);
  });

  it('ends one for each that is opened past eight, also where two are at once', async () => {
    await using tokenizers = new Tokenizers();
    const open = (cid: string) =>
      tokenizers.of(cid as VersionCid, async () => file(TOKENIZER), { signal });
    const threads: TokenizerThread[] = [];
    for (const cid of ['0', '1', '2', '3', '4', '5', '6', '7']) threads.push(await open(cid));
    await Promise.all([open('8'), open('9')]);
    const alive = threads.map((thread) => thread.alive);
    expect(alive).toEqual([false, false, true, true, true, true, true, true]);
  });

  it('opens a new one where the last has ended', async () => {
    await using tokenizers = new Tokenizers();
    const files = [Buffer.from('broken'), file(TOKENIZER)];
    const open = () =>
      tokenizers.of('v' as VersionCid, async () => files.shift() ?? Buffer.from(''), { signal });
    const broken = await open();
    await expect(broken.vocabulary()).rejects.toMatchObject({ code: 'ERR_INVALID_MODEL' });
    expect(await (await open()).vocabulary()).toBe(11);
  });
});
