import { generateKeyPair } from '@libp2p/crypto/keys';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { cidOfDigest, sha256 } from '../../../../protocols/digest.ts';
import { NoNodeError } from '../../../../protocols/errors.ts';
import type { Manifest } from '../../../../protocols/manifest/index.ts';
import type { NodeId, PublisherId, VersionCid } from '../../../../protocols/types.ts';
import { peerIdText } from '../../../../src/swarm/identity.ts';
import type { SwarmPeer } from '../../../../src/swarm/peer.ts';
import { ScaledVersions } from '../../../../src/swarm/scaled-versions.ts';
import { echoModel } from '../../../support/echo-model.ts';
import { bareManifest, createModelFolder } from '../../../support/model-folder.ts';

const cidOf = (text: string) => cidOfDigest(sha256(Buffer.from(text))).toString() as VersionCid;
const publisher = peerIdText(await generateKeyPair('Ed25519')) as PublisherId;
const reporter = peerIdText(await generateKeyPair('Ed25519')) as NodeId;
const origin = { publisher, name: 'echo', cid: cidOf('echo') };
const notice = {
  ...{ ...origin, reporter, sequence: 1, desired: 2, have: 1, deficit: 1 },
  ...{ memoryBytes: 1, providers: null },
};

/** A peer that knows no release until a test says so. */
async function prepare() {
  await using folder = await createModelFolder(echoModel({ x: { datatype: 'FP32', shape: [4] } }));
  const manifest: Manifest = { ...bareManifest(folder.files), deployment: { minReplicas: 3 } };
  let known: { readonly record: object; readonly checkedAtMs: number } | undefined;
  const joined = { capacity: new Set<number>(), demand: new Set<string>() };
  const asked: string[] = [];
  const followed: string[] = [];
  /** What the DHT has, for whoever asks it. */
  let moved: VersionCid | undefined;
  const peer = {
    releases: {
      cached: (...[by, name]: string[]) =>
        by === origin.publisher && name === origin.name ? known : undefined,
      find: async () => {
        asked.push('release');
        if (moved === undefined) throw new NoNodeError('nobody has it');
        return release(moved);
      },
    },
    follow: (_publisher: string, name: string) => followed.push(name),
    gossip: { join: (bucket: number) => joined.capacity.add(bucket) },
    demand: { join: (cid: string) => joined.demand.add(cid) },
    snapshots: (_query: object, { peers }: { readonly peers: readonly string[] }) => {
      asked.push(...peers);
      return [Promise.reject(new NoNodeError('it has gone'))];
    },
  };
  const read = vi.fn(async () => manifest);
  const versions = new ScaledVersions(peer as unknown as SwarmPeer, read);
  const release = (cid: VersionCid) => {
    known = { record: { channels: { stable: { cid } } }, checkedAtMs: Date.now() };
    return known;
  };
  const move = (cid: VersionCid): void => {
    moved = cid;
  };
  return { versions, read, asked, followed, joined, release, move };
}

describe('ScaledVersions', () => {
  afterEach(() => void vi.useRealTimers());

  it('scales what a channel points at, once its manifest was read, and nothing else', async () => {
    const { versions, release } = await prepare();
    expect(versions.get(origin)).toBeUndefined();
    release(origin.cid);
    await vi.waitFor(() =>
      expect(versions.get(origin)).toMatchObject({ ...origin, deployment: { minReplicas: 3 } }),
    );
    release(cidOf('another'));
    expect(versions.get(origin)).toBeUndefined();
    await versions.stop();
  });

  it('says while it asks that what it does not know yet may soon be known', async () => {
    const { versions, release } = await prepare();
    release(origin.cid);
    expect(versions.asking).toBe(false);
    expect(versions.get(origin)).toBeUndefined();
    expect(versions.asking).toBe(true);
    await vi.waitFor(() => expect(versions.asking).toBe(false));
    expect(versions.get(origin)).toMatchObject(origin);
    await versions.stop();
  });

  it('asks the reporter of a shortage first, and hears of the version from then on', async () => {
    const { versions, joined, asked, release } = await prepare();
    release(origin.cid);
    versions.recruit(notice);
    expect([joined.capacity.size, joined.demand.has(origin.cid)]).toEqual([1, true]);
    await vi.waitFor(() => expect(versions.get(origin)).toBeDefined());
    expect(asked).toEqual([reporter]);
    expect(versions.version(origin.cid)).toMatchObject(origin);
    await versions.stop();
  });

  it('believes no notice of what its publisher has not released', async () => {
    const { versions, asked } = await prepare();
    versions.recruit(notice);
    await vi.waitFor(() => expect(asked).toEqual([reporter, 'release']));
    expect(versions.get(origin)).toBeUndefined();
    await versions.stop();
  });

  it('scales a version under the name that its publisher released, whatever names it was given before', async () => {
    const { versions, release } = await prepare();
    const madeUp = (index: number) => ({ ...origin, name: `made-up-${index}` });
    for (let index = 0; index < 6; index += 1) versions.recruit({ ...notice, ...madeUp(index) });
    expect(versions.get(origin)).toBeUndefined();
    release(origin.cid);
    await vi.waitFor(() => {
      versions.get(origin);
      expect(versions.version(origin.cid)).toMatchObject(origin);
    });
    for (let index = 0; index < 6; index += 1) expect(versions.get(madeUp(index))).toBeUndefined();
    expect(versions.version(origin.cid)).toMatchObject(origin);
    await versions.stop();
  });

  it('hears of the moves of what it scales, and asks for them once a minute', async () => {
    const { versions, asked, followed, release, move } = await prepare();
    release(origin.cid);
    await vi.waitFor(() => expect(versions.get(origin)).toBeDefined());
    expect(followed).toEqual([origin.name]);
    move(cidOf('another'));
    vi.useFakeTimers({ now: Date.now() + 59_000 });
    expect(versions.get(origin)).toBeDefined();
    await vi.advanceTimersByTimeAsync(0);
    expect(asked).toEqual([]);
    await vi.advanceTimersByTimeAsync(1_000);
    versions.get(origin);
    await vi.advanceTimersByTimeAsync(0);
    expect(asked).toEqual(['release']);
    expect(versions.get(origin)).toBeUndefined();
    await versions.stop();
  });

  it('looks for what it does not find more rarely each time', async () => {
    vi.useFakeTimers();
    const { versions, read } = await prepare();
    read.mockRejectedValue(new NoNodeError('nobody has it'));
    for (let second = 0; second < 60; second += 1) {
      versions.get(origin);
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(read.mock.calls.length).toBeGreaterThan(4);
    expect(read.mock.calls.length).toBeLessThan(8);
    await versions.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    const before = read.mock.calls.length;
    versions.get(origin);
    expect(read).toHaveBeenCalledTimes(before);
  });
});
