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
  let failures = 0;
  const fetches: {
    readonly asked: readonly string[];
    readonly end: () => void;
    readonly fail: () => void;
  }[] = [];
  const prefetcher = new Prefetcher({
    fetcher: {
      fetch: (_cid: VersionCid, { signal, askers }: ReplicaFetchOptions) =>
        new Promise<StoredVersion>((resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
          fetches.push({
            asked: askers.ids,
            end: () => resolve({} as StoredVersion),
            fail: () => reject(new Error('nobody has it any more')),
          });
        }),
    },
    replicas: { keep: async (one) => void kept.push(one) },
    accept: async () => {},
    logger: pino({ level: 'silent' }),
  });
  const fetch = (peers: readonly string[], version = origin): void => {
    prefetcher.fetch(version, peers, () => (failures += 1));
  };
  return { prefetcher, fetch, kept, fetches, failures: () => failures };
}

describe('Prefetcher', () => {
  it('fetches a version once, from those who have it, and keeps it', async () => {
    const { prefetcher, fetch, kept, fetches, failures } = prepare();
    fetch(['holder']);
    fetch(['holder']);
    expect(fetches.map(({ asked }) => asked)).toEqual([['holder']]);
    expect(prefetcher.size).toBe(1);
    fetches[0]?.end();
    await vi.waitFor(() => expect(kept).toEqual([origin]));
    expect(prefetcher.size).toBe(0);
    expect(failures()).toBe(0);
    await prefetcher.stop();
  });

  it('says of a fetch that it failed, and begins none where nobody is known who has the version', async () => {
    const { prefetcher, fetch, kept, fetches, failures } = prepare();
    fetch([]);
    expect(prefetcher.size).toBe(0);
    expect(fetches).toEqual([]);
    fetch(['holder']);
    fetches[0]?.fail();
    await vi.waitFor(() => expect(failures()).toBe(1));
    expect(prefetcher.size).toBe(0);
    expect(kept).toEqual([]);
    await prefetcher.stop();
  });

  it('ends all fetches for a load, whose way in they would share, and when the node stops', async () => {
    const { prefetcher, fetch, kept, failures } = prepare();
    fetch(['holder']);
    fetch(['gone'], { ...origin, cid: 'other version' as VersionCid });
    expect(prefetcher.size).toBe(2);
    await prefetcher.end();
    expect(prefetcher.size).toBe(0);
    fetch(['holder']);
    await prefetcher.stop();
    expect(prefetcher.size).toBe(0);
    fetch(['holder']);
    expect(prefetcher.size).toBe(0);
    expect(kept).toEqual([]);
    expect(failures()).toBe(0);
  });
});
