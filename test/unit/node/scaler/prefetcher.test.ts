import pino from 'pino';
import { describe, expect, it, vi } from 'vitest';
import type { ReplicaOrigin } from '../../../../node/replica/replica.ts';
import type { ReplicaFetchOptions } from '../../../../node/replica/replica-fetch.ts';
import { Prefetcher } from '../../../../node/scaler/prefetcher.ts';
import type { StoredVersion } from '../../../../node/store/version-store.ts';
import type { PublisherId, VersionCid } from '../../../../protocols/types.ts';

const origin: ReplicaOrigin = {
  publisher: 'publisher' as PublisherId,
  name: 'digits',
  cid: 'version' as VersionCid,
};

/** A prefetcher whose fetches end when a test says so, or when they are aborted. */
function prepare() {
  const kept: ReplicaOrigin[] = [];
  const fetches: { readonly asked: readonly string[]; readonly end: () => void }[] = [];
  const prefetcher = new Prefetcher({
    fetcher: {
      fetch: (_cid: VersionCid, { signal, askers }: ReplicaFetchOptions) =>
        new Promise<StoredVersion>((resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
          fetches.push({ asked: askers.ids, end: () => resolve({} as StoredVersion) });
        }),
    },
    replicas: { keep: async (one) => void kept.push(one) },
    accept: async () => {},
    logger: pino({ level: 'silent' }),
  });
  return { prefetcher, kept, fetches };
}

describe('Prefetcher', () => {
  it('fetches a version once, from those who have it, and keeps it', async () => {
    const { prefetcher, kept, fetches } = prepare();
    prefetcher.fetch(origin, ['holder']);
    prefetcher.fetch(origin, ['holder']);
    expect(fetches.map(({ asked }) => asked)).toEqual([['holder']]);
    expect(prefetcher.size).toBe(1);
    fetches[0]?.end();
    await vi.waitFor(() => expect(kept).toEqual([origin]));
    expect(prefetcher.size).toBe(0);
    await prefetcher.stop();
  });

  it('ends a fetch for a load of the same version, and when the node stops', async () => {
    const { prefetcher, kept } = prepare();
    prefetcher.fetch(origin, []);
    await prefetcher.end(origin.cid);
    expect(prefetcher.size).toBe(0);
    prefetcher.fetch(origin, []);
    await prefetcher.stop();
    expect(prefetcher.size).toBe(0);
    prefetcher.fetch(origin, []);
    expect(prefetcher.size).toBe(0);
    expect(kept).toEqual([]);
  });
});
