import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { describe, expect, it } from 'vitest';
import { cidOfDigest, sha256 } from '../../../../protocols/digest.ts';
import {
  createMemorySequenceStore,
  createReleaseValidator,
  releaseBucket,
  releaseTopic,
  setChannel,
  signRelease,
} from '../../../../protocols/release/index.ts';
import type { PublisherId, VersionCid } from '../../../../protocols/types.ts';
import { ReleaseGossip } from '../../../../src/swarm/release-gossip.ts';
import { ReleaseDirectory } from '../../../../src/swarm/releases.ts';
import { GossipStub } from '../../../support/gossip-stub.ts';

const key = await generateKeyPair('Ed25519');
const publisher = peerIdFromPrivateKey(key).toString() as PublisherId;
const name = 'digits';
const cid = cidOfDigest(sha256(new Uint8Array())).toString() as VersionCid;
const topic = releaseTopic('main', releaseBucket(publisher, name));

async function recordOf(sequence: number, nowMs = Date.now()): Promise<Uint8Array> {
  const first = setChannel(undefined, {
    publisher,
    name,
    channel: 'stable',
    cid,
    nowMs,
    validityMs: 60_000,
  });
  return signRelease({ ...first, sequence }, key);
}

function createPeer() {
  const stub = new GossipStub();
  const releases = new ReleaseDirectory(stub.libp2p, {
    push: async () => {},
    joining: () => false,
  });
  const validate = createReleaseValidator({ sequences: createMemorySequenceStore() });
  const gossip = new ReleaseGossip(stub.libp2p, releases, { network: 'main', validate });
  return { stub, releases, gossip };
}

describe('ReleaseGossip', () => {
  it('takes and relays a record that is newer, and the same one again for who has not heard it', async () => {
    const { stub, releases, gossip } = createPeer();
    gossip.join(publisher, name);
    const bytes = await recordOf(2);
    expect(await stub.hear(topic, bytes)).toBe('accept');
    expect(releases.cached(publisher, name)?.record.sequence).toBe(2);
    expect(await stub.hear(topic, bytes)).toBe('accept');
  });

  it('relays no record that is superseded, expired, or from ahead of its clock, and blames nobody', async () => {
    const { stub, releases, gossip } = createPeer();
    gossip.join(publisher, name);
    await stub.hear(topic, await recordOf(2));
    expect(await stub.hear(topic, await recordOf(1))).toBe('ignore');
    expect(await stub.hear(topic, await recordOf(9, Date.now() - 3_600_000))).toBe('ignore');
    expect(await stub.hear(topic, await recordOf(9, Date.now() + 3 * 3_600_000))).toBe('ignore');
    expect(releases.cached(publisher, name)?.record.sequence).toBe(2);
  });

  it('rejects what is forged, and what belongs to another bucket', async () => {
    const { stub, releases, gossip } = createPeer();
    gossip.joinAll();
    const bytes = await recordOf(1);
    expect(await stub.hear(topic, bytes.with(bytes.length - 1, (bytes.at(-1) ?? 0) ^ 1))).toBe(
      'reject',
    );
    expect(await stub.hear(topic, Uint8Array.of(1, 2, 3))).toBe('reject');
    const other = releaseTopic('main', (releaseBucket(publisher, name) + 1) % 16);
    expect(await stub.hear(other, bytes)).toBe('reject');
    expect(releases.cached(publisher, name)).toBeUndefined();
  });

  it('tells its topic of a record that came another way, and no topic that it did not join', async () => {
    const { stub, releases, gossip } = createPeer();
    await releases.offer(await recordOf(1));
    expect(stub.published).toEqual([]);
    gossip.join(publisher, name);
    const bytes = await recordOf(2);
    await releases.offer(bytes);
    await releases.offer(bytes);
    expect(stub.published).toEqual([{ topic, bytes }]);
  });

  it('joins one topic of a model, once, and all sixteen for a bootstrap server', () => {
    const { stub, gossip } = createPeer();
    gossip.join(publisher, name);
    gossip.join(publisher, name);
    expect([...stub.topics]).toEqual([topic]);
    gossip.joinAll();
    expect(stub.topics.size).toBe(16);
  });
});
