import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  embeddingFiles,
  embeddingModel,
  TOKENIZER,
  tokenVector,
  VECTOR_SIZE,
} from '../support/embedding-model.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';
import { simpleModel } from '../support/triton-models.ts';

let testnet: Testnet;
let gateway: TestGateway;

beforeAll(async () => {
  testnet = await createTestnet({ nodes: 1, clients: 0 });
  const publish = (name: string, files: Readonly<Record<string, string>>, model?: Uint8Array) =>
    testnet.publish(model ?? embeddingModel(), { name, files });
  await publish('words', embeddingFiles({ maxTokens: 8, minDimensions: 2 }));
  await publish('raw', embeddingFiles({ pooling: 'last', normalize: false }));
  await publish('narrow', embeddingFiles({ pooling: 'cls' }), embeddingModel([2, 5]));
  await publish('untold', { 'tokenizer.json': JSON.stringify(TOKENIZER) });
  await publish('broken', embeddingFiles({}, '{"model": 1}'));
  await testnet.publish(simpleModel(), { name: 'simple' });
  gateway = await startTestGateway(testnet, { maxBodyBytes: 1_000_000 });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await testnet?.[Symbol.asyncDispose]();
});

interface Vectors {
  readonly data: readonly { readonly index: number; readonly embedding: number[] | string }[];
  readonly usage: object;
}

async function embed(body: unknown) {
  const response = await fetch(`${gateway.http}/v1/embeddings`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const { status, headers } = response;
  return { status, headers, json: (await response.json()) as Vectors & { readonly error: object } };
}

/** The vectors as they are answered, in order. */
async function vectorsOf(body: object): Promise<number[][]> {
  const { status, json } = await embed(body);
  expect([status, json.error]).toEqual([200, undefined]);
  expect(json.data.map(({ index }) => index)).toEqual([...json.data.keys()]);
  return json.data.map(({ embedding }) => embedding as number[]);
}

const unit = (vector: readonly number[]): number[] => {
  const norm = Math.hypot(...vector);
  return vector.map((value) => value / norm);
};

/** What the model of {@link embeddingModel} gives for tokens, their mean. */
const meanOf = (ids: readonly number[]): number[] =>
  Array.from({ length: VECTOR_SIZE }, (_, index) => {
    const values = ids.map((id) => tokenVector(id)[index] ?? 0);
    return values.reduce((sum, value) => sum + value, 0) / ids.length;
  });

const close = (vector: readonly number[]) => vector.map((value) => expect.closeTo(value, 5));

/** `[CLS] the cats ! [SEP]` and `[CLS] dog [SEP]` */
const [CATS, DOG] = [
  [2, 4, 5, 9, 10, 3],
  [2, 6, 3],
];

describe('/v1/embeddings', () => {
  it('answers with the mean of the tokens at length 1, in the order of the texts, and counts tokens', async () => {
    const { status, headers, json } = await embed({ model: 'words', input: ['The cats!', 'dog'] });
    expect([status, headers.get('content-type')]).toEqual([200, 'application/json']);
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(json).toEqual({
      object: 'list',
      model: 'words',
      data: [CATS, DOG].map((ids, index) => ({
        ...{ object: 'embedding', index, embedding: close(unit(meanOf(ids))) },
      })),
      usage: { prompt_tokens: 9, total_tokens: 9 },
    });
  });

  it('answers base64 with the bytes of the same floats, little-endian', async () => {
    const request = { model: 'words', input: 'dog' };
    const [vector = []] = await vectorsOf(request);
    const { json } = await embed({ ...request, encoding_format: 'base64' });
    const bytes = Buffer.from(String(json.data[0]?.embedding), 'base64');
    const floats = Array.from({ length: VECTOR_SIZE }, (_, index) => bytes.readFloatLE(index * 4));
    expect([bytes.byteLength, floats]).toEqual([4 * VECTOR_SIZE, vector]);
  });

  it.each([
    ['a text', 'The cats!', [CATS]],
    ['tokens', CATS, [CATS]],
    ['lists of tokens', [DOG, CATS], [DOG, CATS]],
    ['an unknown word', ['bird'], [[2, 1, 3]]],
  ])('takes %s', async (_, input, texts) => {
    expect(await vectorsOf({ model: 'words', input })).toEqual(
      texts.map((ids) => close(unit(meanOf(ids)))),
    );
  });

  it('gives every one of many texts its own vector, though they run in batches by length', async () => {
    const input = Array.from({ length: 150 }, (_, index) => 'cat '.repeat(1 + (index % 6)));
    const vectors = await vectorsOf({ model: 'words', input });
    expect(vectors).toEqual(
      input.map((_, index) => {
        const cats = Array.from({ length: 1 + (index % 6) }, () => 5);
        return close(unit(meanOf([2, ...cats, 3])));
      }),
    );
  });

  it('pools and normalizes as the manifest says, and fills up what the model fixes', async () => {
    const input = ['cat', 'the dog ran', 'dog'];
    const last = close(tokenVector(3));
    expect(await vectorsOf({ model: 'raw', input })).toEqual([last, last, last]);
    const first = close(unit(tokenVector(2)));
    expect(await vectorsOf({ model: 'narrow', input })).toEqual([first, first, first]);
  });

  it('cuts vectors to the dimensions that are wanted, at length 1 again', async () => {
    const [vector] = await vectorsOf({ model: 'words', input: 'dog', dimensions: 2 });
    expect(vector).toEqual(close(unit(meanOf(DOG).slice(0, 2))));
    const all = { model: 'raw', input: 'dog', dimensions: VECTOR_SIZE };
    expect((await vectorsOf(all))[0]).toHaveLength(VECTOR_SIZE);
  });

  it.each<readonly [string, object | string, string | null, RegExp]>([
    ['no JSON', '{"model":', null, /^the request is not JSON/],
    ['no object', '[1]', null, /^expected an object/],
    ['no model', { input: 'cat' }, 'model', /^model: expected the name of a model/],
    ['no input', { model: 'words' }, 'input', /^input: expected a text, a list/],
    ['an empty list', { model: 'words', input: [] }, 'input', /^input: expected a text/],
    ['mixed input', { model: 'words', input: ['cat', 1] }, 'input', /a text at \[1\], found 1/],
    ['a broken token', { model: 'words', input: [[1, -1]] }, 'input', /integers from 0 in input/],
    ['a token too many', { model: 'words', input: [11] }, 'input', /has the token 11, expected/],
    [
      'too many texts',
      { model: 'words', input: Array.from({ length: 2049 }, () => 'cat') },
      ...(['input', /^input has 2049 texts, expected at most 2048/] as const),
    ],
    [
      'a text too long',
      { model: 'words', input: ['cat', 'cat '.repeat(7)] },
      ...(['input', /^input\[1\] has 9 tokens, expected at most 8/] as const),
    ],
    ['too long for the shape', { model: 'narrow', input: 'cat '.repeat(4) }, 'input', /at most 5/],
    [
      'an unknown encoding',
      { model: 'words', input: 'cat', encoding_format: 'hex' },
      ...(['encoding_format', /expected 'float' or 'base64'/] as const),
    ],
    ['no number', { model: 'words', input: 'a', dimensions: 0 }, 'dimensions', /an integer from 1/],
    ['too many', { model: 'words', input: 'a', dimensions: 7 }, 'dimensions', /expected 2 to 6/],
    ['a cut', { model: 'raw', input: 'a', dimensions: 5 }, 'dimensions', /expected 6: that many/],
    ['a model without', { model: 'simple', input: 'a' }, 'model', /makes no vectors of texts/],
    ['one that says not how', { model: 'untold', input: 'a' }, 'model', /makes no vectors/],
  ])('refuses a request with %s, naming the field', async (_, body, param, message) => {
    const { status, headers, json } = await embed(body);
    expect([status, headers.get('x-should-retry'), json.error]).toEqual([
      ...[400, 'false'],
      {
        message: expect.stringMatching(message),
        type: 'invalid_request_error',
        param,
        code: 'invalid',
      },
    ]);
  });

  it('tells an unknown model and another method, and that no retry mends a broken tokenizer', async () => {
    const unknown = await embed({ model: 'nothing', input: 'cat' });
    expect([unknown.status, unknown.json.error]).toMatchObject([404, { code: 'model_not_found' }]);
    const { status, headers } = await fetch(`${gateway.http}/v1/embeddings`);
    expect([status, headers.get('allow')]).toEqual([405, 'POST']);
    const broken = await embed({ model: 'broken', input: 'cat' });
    expect([broken.status, broken.headers.get('x-should-retry')]).toEqual([500, 'false']);
    expect(broken.json.error).toMatchObject({
      message: expect.stringMatching(/^the tokenizer cannot be used/),
    });
  });
});
