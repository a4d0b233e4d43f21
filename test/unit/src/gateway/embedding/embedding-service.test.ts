import { describe, expect, it } from 'vitest';
import type { Manifest } from '../../../../../protocols/manifest/index.ts';
import { ANYBODY } from '../../../../../src/gateway/access/api-keys.ts';
import { EmbeddingService } from '../../../../../src/gateway/embedding/embedding-service.ts';
import type { InferenceService } from '../../../../../src/gateway/inference-service.ts';
import type { ModelDirectory } from '../../../../../src/gateway/models/model-directory.ts';
import type { SwarmAccess } from '../../../../../src/gateway/swarm-access.ts';
import { TOKENIZER } from '../../../../support/embedding-model.ts';

const DEADLINE_MS = 200;

const MODEL = {
  ...{ asked: 'words', name: 'p/words', cid: 'v', version: '1', pinned: false, ref: {} },
  manifest: {
    metadata: { task: 'text-embedding' },
    embedding: { tokenizer: 'tokenizer.json', output: 'y' },
    inputs: [{ name: 'input_ids', datatype: 'INT64', shape: ['texts', 'tokens'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['texts', 'tokens', 2] }],
  } as unknown as Manifest,
};

/** Splits at a pattern whose match takes twice as long for each further letter. */
const ENDLESS = {
  ...TOKENIZER,
  normalizer: null,
  pre_tokenizer: { type: 'Split', pattern: { Regex: '^(a+)+$' }, behavior: 'Isolated' },
};

const never = () => new Promise<never>(() => {});

/** One whose model is found, whose file is read and which runs as it is said here. */
function serviceOf({ find = async () => MODEL, file = TOKENIZER as object, readFile = false }) {
  const client = { readFile: readFile ? never : async () => Buffer.from(JSON.stringify(file)) };
  return new EmbeddingService({
    access: { client } as unknown as SwarmAccess,
    directory: { find } as unknown as ModelDirectory,
    service: { infer: never } as unknown as InferenceService,
    deadlineMs: DEADLINE_MS,
  });
}

const callOf = (text: string, signal = new AbortController().signal) => ({
  request: { model: 'words', input: [text], encoding: 'float', dimensions: undefined } as const,
  ...{ caller: ANYBODY, requestId: 'r', traceHeaders: {}, signal },
});

describe('EmbeddingService', () => {
  it.each([
    ['finding the model', { find: never }],
    ['bringing the tokenizer', { readFile: true }],
    ['tokenizing', { file: ENDLESS }],
  ])('answers with its deadline where %s takes longer', async (_, parts) => {
    await using service = serviceOf(parts);
    await expect(service.embed(callOf(`${'a'.repeat(64)}b`))).rejects.toMatchObject({
      code: 'ERR_DEADLINE',
      message: expect.stringContaining(`no answer within ${DEADLINE_MS} ms`),
    });
  });

  it('tells who leaves nothing of a deadline', async () => {
    await using service = serviceOf({ find: never });
    const leaving = new AbortController();
    const answer = service.embed(callOf('cat', leaving.signal));
    leaving.abort(new DOMException('gone', 'AbortError'));
    await expect(answer).rejects.toMatchObject({ name: 'AbortError' });
  });
});
