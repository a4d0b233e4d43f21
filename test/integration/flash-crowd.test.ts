import { describe, expect, it } from 'vitest';
import { digestText } from '../../protocols/digest.ts';
import { type BlockSource, RateLimiter } from '../../protocols/transfer/index.ts';
import { DistrustedPeers } from '../../src/swarm/distrusted-peers.ts';
import { keepUntilTestEnds } from '../support/kept.ts';
import { noise } from '../support/noise.ts';
import { CrowdPeer, joinCrowd } from '../support/transfer-crowd.ts';
import { createVersionFixture } from '../support/version-fixture.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const SIZE = 12 * MIB;
const MEMBERS = 8;

const version = createVersionFixture({
  files: { 'model.onnx': noise(SIZE, 1) },
  chunkBytes: 256 * KIB,
});

describe('A flash crowd', () => {
  const keep = keepUntilTestEnds();

  it('takes each block from a slow seeder little more than once: the members give them to each other', async () => {
    const limit = new RateLimiter(4 * MIB);
    const seeder = keep(await CrowdPeer.start('seeder', version.source, limit));
    const members = await Promise.all(
      Array.from({ length: MEMBERS }, async (_, index) => keep(await joinCrowd(`m${index}`))),
    );
    const all = [seeder, ...members.map(({ peer }) => peer)];
    await Promise.all(members.map((member) => member.fetch(version, all)));
    for (const { store } of members) expect(await store.get(version.cid)).toBeDefined();
    const given = members.reduce((total, { peer }) => total + peer.servedBytes, 0);
    console.log(
      `${MEMBERS} × ${SIZE / MIB} MiB: the seeder gave ${(seeder.servedBytes / MIB).toFixed(1)} MiB, the members ${(given / MIB).toFixed(1)} MiB`,
    );
    // Single-source, it would be eight times the size.
    expect(seeder.servedBytes).toBeLessThan(1.5 * SIZE);
    expect(given).toBeGreaterThan((MEMBERS - 2) * SIZE);
  });

  it('goes on without the seeder once its members have every block between them', async () => {
    const [left, right, late] = await Promise.all(
      ['left', 'right', 'late'].map(async (name) => keep(await joinCrowd(name))),
    );
    if (left === undefined || right === undefined || late === undefined)
      throw new Error('no crowd');
    const chunks = new Set(version.lists.flat().map(({ digest }) => digestText(digest)));
    const halves = [...chunks].map((key, index) => [key, index % 2] as const);
    const half = (which: number): BlockSource => {
      const lacks = new Set(halves.filter(([, side]) => side !== which).map(([key]) => key));
      return {
        read: async (digest) =>
          lacks.has(digestText(digest)) ? undefined : version.source.read(digest),
      };
    };
    // Each gets its half from a source of its own that has no more, and never ends.
    const sources = await Promise.all(
      [0, 1].map(async (which) => keep(await CrowdPeer.start(`source-${which}`, half(which)))),
    );
    const controller = new AbortController();
    const { signal } = controller;
    const stuck = [left, right].map((member, which) => {
      const done = Promise.withResolvers<void>();
      const fetched = member
        .fetch(version, sources.slice(which, which + 1), {
          signal,
          onProgress: (bytes) => {
            if (bytes >= SIZE / 2) done.resolve();
          },
        })
        .catch(() => undefined);
      return { fetched, half: done.promise };
    });
    await Promise.all(stuck.map((one) => one.half));
    await late.fetch(version, [left.peer, right.peer]);
    expect(await late.store.get(version.cid)).toBeDefined();
    controller.abort();
    await Promise.all(stuck.map((one) => one.fetched));
  });

  it('drops a liar at the first bad hash, and does not ask it in the next fetch', async () => {
    const liar = keep(
      await CrowdPeer.start('liar', {
        read: async (digest) => {
          const block = await version.source.read(digest);
          // Right in what is small: the lie is about the weights.
          return block?.byteLength === 256 * KIB ? new Uint8Array(256 * KIB) : block;
        },
      }),
    );
    const honest = keep(await CrowdPeer.start('honest', version.source));
    const distrusted = new DistrustedPeers();
    const lied: number[] = [];
    for (const name of ['one', 'two']) {
      const member = keep(await joinCrowd(name));
      const { dropped } = await member.fetch(version, [liar, honest], { distrusted });
      expect(dropped.has('liar')).toBe(true);
      lied.push(liar.servedBytes);
    }
    expect(lied[0]).toBeGreaterThan(0);
    expect(lied[1]).toBe(lied[0]);
  });
});
