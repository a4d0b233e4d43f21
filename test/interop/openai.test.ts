import path from 'node:path';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, embedMany } from 'ai';
import OpenAI, { NotFoundError } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApiKey } from '../../src/gateway/access/api-key-file.ts';
import { writeDurably } from '../../src/swarm/durable-file.ts';
import { embeddingFiles, embeddingModel, VECTOR_SIZE } from '../support/embedding-model.ts';
import { PYTHON_CLIENTS_ABSENT, runPython } from '../support/python-tools.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const TEXTS = ['The cats!', 'dog'];

const { text: key, entry } = createApiKey({});

let testnet: Testnet;
let gateway: TestGateway;
let baseURL: string;

beforeAll(async () => {
  testnet = await createTestnet({ nodes: 1, clients: 0 });
  const files = embeddingFiles({ minDimensions: 2 });
  await testnet.publish(embeddingModel(), { name: 'words', files });
  const keyFile = path.join(testnet.folder, 'api-keys.json');
  await writeDurably(keyFile, Buffer.from(JSON.stringify({ mine: entry })), 0o600);
  gateway = await startTestGateway(testnet, { keyFile });
  baseURL = `${gateway.http}/v1`;
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await testnet?.[Symbol.asyncDispose]();
});

const close = (vector: readonly number[]) => vector.map((value) => expect.closeTo(value, 6));

/** Requests that a client sends for one call. */
function countingFetch(): { readonly fetch: typeof fetch; readonly sent: () => number } {
  let sent = 0;
  const counted: typeof fetch = (...request) => {
    sent += 1;
    return fetch(...request);
  };
  return { fetch: counted, sent: () => sent };
}

describe("OpenAI's client for JavaScript", () => {
  test('gets the same vectors in the base64 that it asks for by itself and as numbers', async () => {
    const client = new OpenAI({ baseURL, apiKey: key });
    const answer = await client.embeddings.create({ model: 'words', input: TEXTS });
    const floats = await client.embeddings.create({
      ...{ model: 'words', input: TEXTS, encoding_format: 'float' },
    });
    expect(answer.data.map(({ embedding }) => embedding.length)).toEqual([
      VECTOR_SIZE,
      VECTOR_SIZE,
    ]);
    expect(answer.data.map(({ embedding }) => embedding)).toEqual(
      floats.data.map(({ embedding }) => close(embedding)),
    );
    expect(answer.usage).toEqual({ prompt_tokens: 9, total_tokens: 9 });
  });

  test('lists the models and finds one', async () => {
    const client = new OpenAI({ baseURL, apiKey: key });
    const ids: string[] = [];
    for await (const { id } of client.models.list()) ids.push(id);
    expect(ids).toEqual([expect.stringMatching(/\/words$/)]);
    expect((await client.models.retrieve(ids[0] ?? '')).id).toBe(ids[0]);
  });

  test('throws its own error with our message, code and request id, and sends nothing twice', async () => {
    const { fetch, sent } = countingFetch();
    const client = new OpenAI({ baseURL, apiKey: key, fetch });
    const messages = [{ role: 'user', content: 'hello' }] as const;
    const chat = (model: string) =>
      client.chat.completions.create({ model, messages: [...messages] }).catch((error) => error);
    const unknown = await chat('nothing');
    expect(unknown).toBeInstanceOf(NotFoundError);
    expect(unknown).toMatchObject({ code: 'model_not_found', requestID: expect.any(String) });
    expect(unknown.message).toContain("Request for unknown model: 'nothing' is not found");
    // A status from 500 it would send three times.
    expect(await chat('words')).toMatchObject({ status: 501, code: 'unsupported' });
    expect(sent()).toBe(2);
  });
});

describe('The AI SDK', () => {
  test('embeds by @ai-sdk/openai-compatible, and shows our message of a failure', async () => {
    const provider = createOpenAICompatible({ name: 'swarm', baseURL, apiKey: key });
    const model = provider.embeddingModel('words');
    const { embeddings, usage } = await embedMany({ model, values: TEXTS });
    expect(embeddings.map(({ length }) => length)).toEqual([VECTOR_SIZE, VECTOR_SIZE]);
    expect(usage.tokens).toBe(9);
    const missing = provider.embeddingModel('nothing');
    const error = await embedMany({ model: missing, values: TEXTS }).catch((found) => found);
    expect(APICallError.isInstance(error)).toBe(true);
    expect(error.message).toContain("Request for unknown model: 'nothing' is not found");
  });
});

describe.skipIf(PYTHON_CLIENTS_ABSENT !== undefined)(
  `OpenAI's client for Python (${PYTHON_CLIENTS_ABSENT ?? 'openai'})`,
  () => {
    test('gets vectors in both forms, lists models, and raises its own errors', async () => {
      const seen = (await runPython(
        ...(['openai_client.py', { http: gateway.http, key }, { list: 'clients' }] as const),
      )) as { readonly float: readonly number[][] };
      expect(seen).toMatchObject({
        models: ['words'],
        model: 'words',
        default: seen.float.map(close),
        tokens: 9,
        cut: 2,
        unknown: { kind: 'NotFoundError', code: 'model_not_found', request: true },
        wrong: { kind: 'BadRequestError', param: 'dimensions', code: 'invalid' },
        chat: { kind: 'InternalServerError', status: 501, code: 'unsupported' },
        no_chat: { kind: 'NotFoundError', code: 'model_not_found' },
        no_key: { kind: 'AuthenticationError', status: 401 },
        async: Array.from({ length: 8 }, () => VECTOR_SIZE),
      });
      expect(seen.float.map(({ length }) => length)).toEqual([VECTOR_SIZE, VECTOR_SIZE]);
    });
  },
);
