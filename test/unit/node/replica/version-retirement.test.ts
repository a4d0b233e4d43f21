import { describe, expect, it, vi } from 'vitest';
import type { Replica } from '../../../../node/replica/replica.ts';
import { isSuperseded, VersionRetirement } from '../../../../node/replica/version-retirement.ts';
import type { VersionCid } from '../../../../protocols/types.ts';
import type { SignedRelease } from '../../../../src/swarm/releases.ts';
import { present } from '../../../support/present.ts';

const IDLE_MS = 1_000;
const cidOf = (name: string) => name as VersionCid;

/** Replicas by CID, of which channels of a model that they are of point at `current`. */
function prepare(
  states: Readonly<Record<string, { state: string; busy?: boolean; lastUsedMs?: number }>>,
  current: readonly string[],
  pinned: readonly string[] = [],
) {
  const retired: string[] = [];
  const revived: string[] = [];
  let heard: ((release: SignedRelease) => void) | undefined;
  const replicas = Object.entries(states).map(
    ([cid, { state, busy = false, lastUsedMs = 0 }]) =>
      ({
        origin: { publisher: 'publisher', name: 'model', cid },
        state,
        standing: { busy, lastUsedMs, uses: 0, loadMs: 0 },
      }) as unknown as Replica,
  );
  const knowledge = { current: async (cid: VersionCid) => current.includes(cid) };
  const retirement = new VersionRetirement({
    replicas: {
      replicas,
      retire: async (cid) => void retired.push(cid),
      revive: (cid) => void revived.push(cid),
    },
    knowledge,
    isPinned: (cid) => pinned.includes(cid),
    releases: {
      onChange: (listener) => {
        heard = listener;
        return () => {
          heard = undefined;
        };
      },
    },
    idleMs: IDLE_MS,
    logger: { warn: () => undefined },
  });
  const tell = (...cids: string[]): void => {
    const channels = Object.fromEntries(cids.map((cid) => [cid, { cid, previous: null }]));
    present(heard)({ record: { channels } } as unknown as SignedRelease);
  };
  return { retirement, retired, revived, tell, isHearing: () => heard !== undefined };
}

describe('VersionRetirement', () => {
  it('takes out of memory only what is loaded, idle and no longer pointed at', async () => {
    const { retirement, retired } = prepare(
      {
        superseded: { state: 'ready' },
        released: { state: 'ready' },
        asked: { state: 'ready', busy: true },
        recent: { state: 'ready', lastUsedMs: 1 },
        coming: { state: 'loading' },
        away: { state: 'cold' },
        pinned: { state: 'ready' },
      },
      ['released'],
      ['pinned'],
    );
    await retirement.look(IDLE_MS);
    expect(retired).toEqual(['superseded']);
  });

  it('loads again what a new record points at, under whichever name, and no more once it is stopped', async () => {
    const cold = { state: 'cold' };
    // That of `b` is none that it is held under.
    const made = prepare({ a: cold, b: cold, c: { state: 'ready' }, d: cold }, ['a', 'c', 'd']);
    made.retirement.start();
    made.tell('another');
    made.tell('a', 'b', 'c');
    await vi.waitFor(() => expect(made.revived).toEqual(['a']));
    await made.retirement.stop();
    expect(made.isHearing()).toBe(false);
  });
});

describe('isSuperseded', () => {
  const store = { manifest: async (cid: VersionCid) => (cid === 'whole' ? {} : undefined) };
  const policy = { isPinned: () => false };

  it('leaves on the disk what no channel points at, unless it is to be fetched first', async () => {
    const knowledge = { current: async () => false };
    expect(await isSuperseded(cidOf('whole'), { policy, knowledge, store })).toBe(true);
    expect(await isSuperseded(cidOf('part'), { policy, knowledge, store })).toBe(false);
  });

  it('has loaded again what its operator pinned, whatever channels point at', async () => {
    const knowledge = { current: async () => false };
    const pinning = { isPinned: (cid: VersionCid) => cid === 'whole' };
    expect(await isSuperseded(cidOf('whole'), { policy: pinning, knowledge, store })).toBe(false);
  });

  it('has loaded again what a channel points at', async () => {
    const knowledge = { current: async () => true };
    expect(await isSuperseded(cidOf('whole'), { policy, knowledge, store })).toBe(false);
  });
});
