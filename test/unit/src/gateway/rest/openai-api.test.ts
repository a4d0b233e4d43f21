import { describe, expect, it } from 'vitest';
import type { PublisherId } from '../../../../../protocols/types.ts';
import type { CatalogResult } from '../../../../../src/client/catalog-search.ts';
import { ANYBODY } from '../../../../../src/gateway/access/api-keys.ts';
import type { ServedModel } from '../../../../../src/gateway/models/model-directory.ts';
import { OpenAiApi } from '../../../../../src/gateway/rest/openai-api.ts';

const PUBLISHER = 'alice' as PublisherId;

/** Asks for a model that can be looked up by its name, and of which peers say this. */
async function retrieve(answered: number): Promise<unknown> {
  const found: Pick<ServedModel, 'name' | 'ref'> = {
    name: 'alice/digits',
    ref: { publisher: PUBLISHER, name: 'digits', selector: { kind: 'channel', channel: 'stable' } },
  };
  const told: CatalogResult = { models: [], asked: 2, answered, incomplete: false };
  const api = new OpenAiApi({
    access: { client: { searchModels: async () => told } },
    directory: { find: async () => found as ServedModel, isRefused: () => false },
    embeddings: { embed: () => Promise.reject(new Error('nobody asked')) },
  });
  return api.answer({
    ...{ method: 'GET', path: '/v1/models/digits', headers: {}, body: Buffer.alloc(0) },
    ...{ caller: ANYBODY, requestId: '', signal: new AbortController().signal },
  });
}

describe('OpenAiApi, asked for one model', () => {
  it('says that there is none when more than half of the peers know of none', async () => {
    await expect(retrieve(2)).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('does not say so of a model on which too few peers answered', async () => {
    await expect(retrieve(1)).rejects.toMatchObject({
      code: 'ERR_CONNECTION',
      message: "model 'digits' was not found, and only 1 of 2 peers said what they know",
    });
  });
});
