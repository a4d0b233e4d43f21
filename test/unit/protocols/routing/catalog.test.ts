import { streamPair } from '@libp2p/utils';
import { describe, expect, it, vi } from 'vitest';
import { NotFoundError } from '../../../../protocols/errors.ts';
import {
  type CatalogAnswer,
  type CatalogQuery,
  handleRouting,
  MAX_CATALOG_ENTRIES,
  MAX_SNAPSHOT_OUTCOMES,
  type RoutingSnapshot,
  requestCatalog,
  requestSnapshot,
} from '../../../../protocols/routing/index.ts';
import type { VersionCid } from '../../../../protocols/types.ts';

const cid = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy' as VersionCid;
const signal = (): AbortSignal => AbortSignal.timeout(5_000);

const query: CatalogQuery = {
  kind: 'catalog',
  text: 'digits',
  task: 'image-classification',
  publisher: '12D3a',
  labels: { size: 'small' },
};

const entry = {
  release: new Uint8Array(16_384).fill(1),
  cid,
  metadata: { task: 't', description: 'd'.repeat(512), licence: 'l', labels: { a: 'b' } },
};

/** Both ends, real. */
async function ask(answer: CatalogAnswer | Error, asked: CatalogQuery = query) {
  const [outbound, inbound] = await streamPair();
  const catalog = vi.fn(async (_query: CatalogQuery) => {
    if (answer instanceof Error) throw answer;
    return answer;
  });
  const snapshot = async () => ({ release: null, announcements: [] });
  const handled = handleRouting(inbound, { snapshot, catalog }, signal());
  try {
    const answered = await requestCatalog(outbound, asked, signal());
    return { answered, heard: catalog.mock.calls[0]?.[0] };
  } finally {
    await handled;
  }
}

describe('requestCatalog and handleRouting', () => {
  it('carry a query and an answer', async () => {
    const answer = { entries: [entry, { ...entry, metadata: null }], omitted: 7 };
    expect(await ask(answer)).toEqual({ answered: answer, heard: query });
  });

  it('carry a query for anything', async () => {
    const anything = { kind: 'catalog', text: '' } as const;
    expect((await ask({ entries: [], omitted: 0 }, anything)).heard).toEqual(anything);
  });

  it('carry 32 of the largest entries, and no 33rd', async () => {
    const value = 'v'.repeat(256);
    const labels = Object.fromEntries(
      Array.from({ length: 12 }, (_, index) => [`label-${index}`, value]),
    );
    const largest = { ...entry, metadata: { ...entry.metadata, labels } };
    const entries = Array.from({ length: MAX_CATALOG_ENTRIES }, () => largest);
    expect((await ask({ entries, omitted: 0 })).answered.entries).toHaveLength(32);
    await expect(ask({ entries: [...entries, largest], omitted: 0 })).rejects.toMatchObject({
      code: 'ERR_INVALID_MESSAGE',
    });
  });

  it.each([
    ['no CID', { ...entry, cid: 'nonsense' as VersionCid }],
    ['too long a description', { ...entry, metadata: { description: 'd'.repeat(513) } }],
  ])('refuse an entry with %s', async (_, broken) => {
    await expect(ask({ entries: [broken], omitted: 0 })).rejects.toMatchObject({
      code: 'ERR_INVALID_MESSAGE',
    });
  });

  it.each([
    ['five labels', { ...query, labels: { a: '', b: '', c: '', d: '', e: '' } }],
    ['too long a text', { ...query, text: 't'.repeat(129) }],
    ['too long a task', { ...query, task: 't'.repeat(65) }],
  ])('reset at a query with %s', async (_, broken) => {
    await expect(ask({ entries: [], omitted: 0 }, broken)).rejects.toMatchObject({
      code: 'ERR_CONNECTION',
    });
  });

  it('pass a refusal on', async () => {
    await expect(ask(new NotFoundError('no catalog here'))).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      message: 'no catalog here',
    });
  });
});

describe('A snapshot', () => {
  async function snapshot(answer: RoutingSnapshot) {
    const [outbound, inbound] = await streamPair();
    const catalog = async () => ({ entries: [], omitted: 0 });
    const handled = handleRouting(inbound, { snapshot: async () => answer, catalog }, signal());
    try {
      return await requestSnapshot(outbound, { kind: 'nodes' }, signal());
    } finally {
      await handled;
    }
  }

  it('carries 64 digests of the largest size, and no 65th', async () => {
    const outcomes = Array.from({ length: MAX_SNAPSHOT_OUTCOMES }, () => new Uint8Array(2_048));
    const full = { release: null, announcements: [], outcomes };
    expect(await snapshot(full)).toEqual(full);
    const over = { ...full, outcomes: [...outcomes, new Uint8Array(1)] };
    await expect(snapshot(over)).rejects.toMatchObject({ code: 'ERR_INVALID_MESSAGE' });
  });
});
