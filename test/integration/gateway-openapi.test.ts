import { request } from 'node:http';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseRestPath } from '../../src/gateway/rest/rest-path.ts';
import { embeddingFiles, embeddingModel } from '../support/embedding-model.ts';
import { type DescribedOperation, OpenApiChecker } from '../support/openapi-checker.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';
import { simpleModel } from '../support/triton-models.ts';

let testnet: Testnet;
let gateway: TestGateway;
let checker: OpenApiChecker;

beforeAll(async () => {
  testnet = await createTestnet({ nodes: 1, clients: 0 });
  await testnet.publish(simpleModel(), { name: 'simple' });
  await testnet.publish(embeddingModel(), { name: 'words', files: embeddingFiles() });
  gateway = await startTestGateway(testnet, { maxBodyBytes: 100_000 });
  checker = new OpenApiChecker(await (await fetch(`${gateway.http}/openapi.json`)).json());
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await testnet?.[Symbol.asyncDispose]();
});

const ONES = Array.from({ length: 16 }, () => 1);
const INFER = {
  id: 'mine',
  parameters: { priority: 1, timeout: 5_000_000 },
  inputs: ['INPUT0', 'INPUT1'].map((name) => ({
    ...{ name, datatype: 'INT32', shape: [1, 16], data: ONES },
  })),
  outputs: [{ name: 'OUTPUT0', parameters: { binary_data: false } }],
};

const GENERATE = { id: 'mine', INPUT0: ONES, INPUT1: ONES, priority: 1 };

const EMBED = { model: 'words', input: 'cat' };

interface Sent {
  readonly path: string;
  readonly body?: Uint8Array | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** By Node's own client, which sends what no `fetch` would, and checks the answer against the document. */
async function ask(
  operation: DescribedOperation,
  { path, body, headers = {} }: Sent,
): Promise<number> {
  const { status, type, bytes } = await new Promise<{
    status: number;
    type: string;
    bytes: Buffer;
  }>((resolve, reject) => {
    const { hostname: host, port } = new URL(gateway.http);
    const { method } = operation;
    const sent = request({ host, port, path, method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          type: response.headers['content-type'] ?? '',
          bytes: Buffer.concat(chunks),
        }),
      );
    });
    sent.once('error', reject);
    sent.end(body);
  });
  checker.check(operation, status, type, bytes);
  return status;
}

const fill = (path: string, model: string, version = '1') =>
  path
    .replace('{model}', encodeURIComponent(model))
    .replace('{version}', encodeURIComponent(version));

const json = (value: unknown) => Buffer.from(JSON.stringify(value));

describe('The OpenAPI document', () => {
  it('has each route of the REST API under the path that leads to it', () => {
    for (const { id, path } of checker.operations.filter((each) => !each.path.startsWith('/v1'))) {
      const route = parseRestPath(fill(path, 'p/m'));
      expect([path, id]).toEqual([
        path,
        `${route?.kind}${path.includes('{version}') ? '-of-version' : ''}`,
      ]);
    }
  });

  it('describes what each operation answers to a request that is right', async () => {
    const statuses: Record<string, number> = {};
    for (const operation of checker.operations) {
      const infers = operation.id.startsWith('infer');
      const generates = operation.id.startsWith('generate');
      const embeds = operation.id === 'openai-embeddings';
      statuses[operation.id] = await ask(operation, {
        path: fill(operation.path, 'simple'),
        body: operation.takesBody
          ? json(infers ? INFER : generates ? GENERATE : embeds ? EMBED : { model: 'simple' })
          : undefined,
      });
    }
    const others = Object.entries(statuses).filter(([, status]) => status !== 200);
    // There are no keys, so nobody is an admin; no model generates text.
    expect(Object.fromEntries(others)).toEqual({
      'model-load': 403,
      'model-unload': 403,
      'openai-chat-completions': 501,
      'openai-completions': 501,
    });
  });

  it('describes what each answers to names that are none', async () => {
    const names = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' });
    for (const operation of checker.operations.filter(({ path }) => path.includes('{'))) {
      await fc.assert(
        fc.asyncProperty(names, names, async (model, version) => {
          fc.pre(model !== 'simple');
          const status = await ask(operation, {
            path: fill(operation.path, model, version),
            body: operation.takesBody ? json(INFER) : undefined,
          });
          expect([400, 403, 404]).toContain(status);
        }),
        { numRuns: 15 },
      );
    }
  });

  it('describes what each answers to bodies of any JSON, and of none', async () => {
    const bodies = fc.oneof(
      fc.json().map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 200 }),
    );
    for (const operation of checker.operations.filter(({ takesBody }) => takesBody)) {
      await fc.assert(
        fc.asyncProperty(bodies, async (body) => {
          const status = await ask(operation, { path: fill(operation.path, 'simple'), body });
          // Of what tells the index nothing, nothing is wrong.
          expect([200, 400, 403, 404]).toContain(status);
        }),
        { numRuns: 40 },
      );
    }
  });

  it('describes what inference answers to requests that are wrong somewhere', async () => {
    const operation = checker.operations.find(({ id }) => id === 'infer') as DescribedOperation;
    const wrong = fc.oneof(
      fc.constantFrom(null, -1, 2 ** 53, 1e308, '', 'x', [], {}, [[]], true),
      fc.jsonValue(),
    );
    const places = fc.constantFrom(...placesOf(INFER));
    const lengths = fc.option(fc.oneof(fc.integer().map(String), fc.string({ maxLength: 9 })));
    await fc.assert(
      fc.asyncProperty(places, wrong, lengths, async (place, value, length) => {
        const body = structuredClone(INFER);
        const holder = place.slice(0, -1).reduce<unknown>(at, body) as Record<string, unknown>;
        holder[place.at(-1) ?? ''] = value;
        const header = length?.replace(/[^ -~]/g, '');
        const status = await ask(operation, {
          path: fill(operation.path, 'simple'),
          body: json(body),
          headers: header ? { 'inference-header-content-length': header } : {},
        });
        expect([200, 400]).toContain(status);
      }),
      { numRuns: 300 },
    );
    expect(await ask(operation, { path: '/v2/models/simple/infer', body: json(INFER) })).toBe(200);
  });

  it.each([
    ['a body that is too large', new Uint8Array(100_001), {}, 400],
    ['a coding that is none', Buffer.from('x'), { 'content-encoding': 'br' }, 501],
    ['a body that is not of its coding', Buffer.from('x'), { 'content-encoding': 'gzip' }, 400],
    ['text that is no UTF-8', Buffer.from([0x22, 0xff, 0x22]), {}, 400],
    ['arrays in arrays in arrays', Buffer.from('['.repeat(50_000)), {}, 400],
  ])('describes what inference answers to %s', async (_, body, headers, status) => {
    const operation = checker.operations.find(({ id }) => id === 'infer') as DescribedOperation;
    expect(await ask(operation, { path: '/v2/models/simple/infer', body, headers })).toBe(status);
  });

  it.each([
    ['as it is', new Uint8Array(100_001), {}],
    ['once decompressed', gzipSync(new Uint8Array(100_001)), { 'content-encoding': 'gzip' }],
  ])('describes what OpenAI paths answer to a body too large %s', async (_, body, headers) => {
    const posted = checker.operations.filter(
      ({ path, takesBody }) => takesBody && path.startsWith('/v1/'),
    );
    expect(posted).toHaveLength(3);
    for (const operation of posted) {
      expect(await ask(operation, { path: operation.path, body, headers })).toBe(413);
    }
  });
});

/** Where something stands in a value, outermost first. */
function placesOf(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    [key],
    ...placesOf(inner).map((place) => [key, ...place]),
  ]);
}

function at(value: unknown, key: string): unknown {
  return (value as Record<string, unknown>)[key];
}
