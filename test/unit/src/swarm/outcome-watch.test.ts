import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { cidOfDigest, sha256 } from '../../../../protocols/digest.ts';
import {
  type OutcomeDigest,
  openOutcome,
  outcomeBucket,
  outcomeTopic,
  signOutcome,
} from '../../../../protocols/outcome/index.ts';
import {
  moveChannels,
  type ReleaseGuard,
  type ReleaseRecord,
  signRelease,
} from '../../../../protocols/release/index.ts';
import type { PublisherId, VersionCid } from '../../../../protocols/types.ts';
import { OutcomeWatch } from '../../../../src/swarm/outcome-watch.ts';
import { ReleaseDirectory } from '../../../../src/swarm/releases.ts';
import { GossipStub } from '../../../support/gossip-stub.ts';

const publisherKey = await generateKeyPair('Ed25519');
const publisher = peerIdFromPrivateKey(publisherKey).toString() as PublisherId;
const name = 'digits';
const cidOf = (text: string) => cidOfDigest(sha256(Buffer.from(text))).toString() as VersionCid;
const older = cidOf('older');
const newer = cidOf('newer');
const topic = outcomeTopic('main', outcomeBucket(publisher, name));
const failed = { kind: 'execution' } as const;
const answered = { kind: 'answered', latencyMs: 3 } as const;

async function createPeer() {
  const stub = new GossipStub();
  const releases = new ReleaseDirectory(stub.libp2p, {
    push: async () => {},
    joining: () => false,
  });
  const privateKey = await generateKeyPair('Ed25519');
  const watch = new OutcomeWatch(stub.libp2p, releases, { network: 'main', privateKey });
  let record: ReleaseRecord | undefined;
  return {
    stub,
    watch,
    /** Releases the newer version after the older one. */
    async release(guard: ReleaseGuard | undefined): Promise<ReleaseRecord> {
      const target = guard === undefined ? { cid: newer } : { cid: newer, guard, previous: older };
      record = moveChannels(record, { publisher, name, nowMs: Date.now() }, [['stable', target]]);
      await releases.offer(await signRelease(record, publisherKey));
      return record;
    },
    count(
      cid: VersionCid,
      outcome: typeof failed | typeof answered,
      times: number,
      caller?: string,
    ) {
      for (let index = 0; index < times; index += 1)
        watch.count({ publisher, name, cid }, outcome, caller);
    },
    /** What it told its topic. */
    async told(): Promise<OutcomeDigest[]> {
      await vi.advanceTimersByTimeAsync(1_000);
      return Promise.all(stub.published.map(async ({ bytes }) => openOutcome(bytes)));
    },
  };
}

/** A digest of a peer that saw the newer version fail. */
async function digest(release: number, over: Partial<OutcomeDigest> = {}): Promise<Uint8Array> {
  const counted = {
    ...{ publisher, name, release, sequence: 1, issuedAtMs: 0, windowMs: 60_000 },
    versions: [{ cid: newer, execution: 50, timeout: 0, latencies: [] }],
    ...over,
  };
  return signOutcome(counted, await generateKeyPair('Ed25519'));
}

const guard = { minSamples: 20, minReporters: 2 };

describe('OutcomeWatch', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] }));
  afterEach(() => vi.useRealTimers());

  it('tells what it counted since the release, and of the version before what it last saw', async () => {
    const peer = await createPeer();
    peer.watch.join(publisher, name);
    peer.count(older, answered, 7);
    peer.count(newer, failed, 90);
    vi.setSystemTime(Date.now() + 120_000);
    await peer.release(guard);
    peer.count(newer, failed, 3);
    peer.count(newer, answered, 2);
    await vi.waitFor(async () => expect(await peer.told()).toHaveLength(1));
    expect(await peer.told()).toMatchObject([
      {
        ...{ publisher, name, release: 1, windowMs: 60_000 },
        versions: [
          { cid: newer, execution: 3, latencies: [0, 0, 0, 0, 0, 0, 2] },
          { cid: older, execution: 0, latencies: [0, 0, 0, 0, 0, 0, 7] },
        ],
      },
    ]);
    await peer.watch.stop();
  });

  it('tells nothing of a release without a guard, and nothing to a topic that it did not join', async () => {
    const unguarded = await createPeer();
    unguarded.watch.join(publisher, name);
    await unguarded.release(undefined);
    const light = await createPeer();
    const record = await light.release(guard);
    for (const peer of [unguarded, light]) {
      peer.count(newer, failed, 50);
      expect(await peer.told()).toEqual([]);
    }
    // For itself it counts all the same.
    await vi.waitFor(async () => {
      await light.told();
      expect(light.watch.verdictOf(record, 'stable')).toMatchObject({ samples: 50, reporters: 1 });
    });
    await Promise.all([unguarded.watch.stop(), light.watch.stop()]);
  });

  it('says nothing of what one caller alone provoked', async () => {
    const peer = await createPeer();
    peer.watch.join(publisher, name);
    await peer.release(guard);
    peer.count(newer, failed, 500, 'mallory');
    peer.count(newer, answered, 9, 'alice');
    await vi.waitFor(async () => expect(await peer.told()).toHaveLength(1));
    expect((await peer.told())[0]?.versions[0]).toMatchObject({
      execution: 0,
      latencies: [0, 0, 0, 0, 0, 0, 9],
    });
    await peer.watch.stop();
  });

  it('relays a digest of the release in force, and none that is old, of another release, or of no use', async () => {
    const peer = await createPeer();
    peer.watch.join(publisher, name);
    expect(await peer.stub.hear(topic, await digest(1))).toBe('ignore');
    await peer.release(guard);
    const bytes = await digest(1);
    expect(await peer.stub.hear(topic, bytes)).toBe('accept');
    expect(await peer.stub.hear(topic, bytes)).toBe('ignore');
    expect(await peer.stub.hear(topic, await digest(2))).toBe('ignore');
    await peer.release(undefined);
    expect(await peer.stub.hear(topic, await digest(2))).toBe('ignore');
    await peer.watch.stop();
  });

  it('rejects what is forged or of another bucket', async () => {
    const peer = await createPeer();
    peer.watch.joinAll();
    await peer.release(guard);
    const bytes = await digest(1);
    expect(await peer.stub.hear(topic, bytes.with(bytes.length - 1, (bytes.at(-1) ?? 0) ^ 1))).toBe(
      'reject',
    );
    const other = outcomeTopic('main', (outcomeBucket(publisher, name) + 1) % 16);
    expect(await peer.stub.hear(other, bytes)).toBe('reject');
    await peer.watch.stop();
  });

  it('passes over what comes beyond the rate of a topic', async () => {
    const peer = await createPeer();
    peer.watch.join(publisher, name);
    await peer.release(guard);
    // Signed before: a busy machine takes longer for it than the topic for its next turn.
    const last = await digest(1);
    for (let index = 0; index < 300; index += 1)
      await peer.stub.hear(topic, Uint8Array.of(index % 256));
    expect(await peer.stub.hear(topic, last)).toBe('ignore');
    await peer.watch.stop();
  });

  it('trips on digests that were handed on, and hands them on', async () => {
    const peer = await createPeer();
    const record = await peer.release(guard);
    const digests = [await digest(1), await digest(1), Uint8Array.of(1)];
    await peer.watch.offer(digests);
    expect(peer.watch.tripOf(record, 'stable')).toMatchObject({ verdict: { reason: 'errors' } });
    expect(new Set(peer.watch.digests(record))).toEqual(new Set(digests.slice(0, 2)));
    expect(peer.watch.tripOf(await peer.release(guard), 'stable')).toBeUndefined();
    await peer.watch.stop();
  });
});
