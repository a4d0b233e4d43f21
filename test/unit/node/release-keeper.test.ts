import pino from 'pino';
import { describe, expect, it } from 'vitest';
import { ReleaseKeeper, type ReleaseKeeperComponents } from '../../../node/release-keeper.ts';
import type { PublisherId, VersionCid } from '../../../protocols/types.ts';

const of = (name: string) => ({
  ...{ publisher: 'publisher' as PublisherId, name, cid: 'a' as VersionCid, release: null },
});

describe('ReleaseKeeper', () => {
  it('hears of every name of what is held: those of before a restart, and those it is given later', async () => {
    const followed: string[] = [];
    const keeper = new ReleaseKeeper({
      peer: {
        follow: (_publisher: string, name: string) => followed.push(name),
        topics: { keep: () => () => {} },
        releases: { onChange: () => () => {}, cached: () => ({ bytes: new Uint8Array(1) }) },
      },
      store: { wanted: async () => [of('first'), of('second')], want: async () => {} },
      logger: pino({ level: 'silent' }),
    } as unknown as ReleaseKeeperComponents);
    await keeper.start();
    expect(followed).toEqual(['first', 'second']);
    keeper.adopt(of('third'));
    expect(followed).toEqual(['first', 'second', 'third']);
    await keeper.stop();
  });
});
