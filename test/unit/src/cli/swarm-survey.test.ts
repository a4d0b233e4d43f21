import { generateKeyPair } from '@libp2p/crypto/keys';
import { describe, expect, it } from 'vitest';
import type { AnnouncedVersion, Announcement } from '../../../../protocols/capacity/index.ts';
import { cidOfDigest, sha256 } from '../../../../protocols/digest.ts';
import {
  createMemorySequenceStore,
  setChannel,
  signRelease,
} from '../../../../protocols/release/index.ts';
import type { NodeId, OwnerId, PublisherId, VersionCid } from '../../../../protocols/types.ts';
import { channelsOf, findHeldVersions, surveySwarm } from '../../../../src/cli/swarm-survey.ts';
import { peerIdText } from '../../../../src/swarm/identity.ts';
import { SwarmPeer } from '../../../../src/swarm/peer.ts';
import { serveRouting } from '../../../../src/swarm/routing-service.ts';

const signal = new AbortController().signal;

function version(publisher: PublisherId, name: string, content: string): AnnouncedVersion {
  return {
    cid: cidOfDigest(sha256(Buffer.from(content))).toString() as VersionCid,
    publisher,
    name,
    state: 'ready',
    load: { inFlight: 0, queued: 0, slots: 1, serviceMs: null },
  };
}

function announcement(node: string, versions: readonly AnnouncedVersion[]): Announcement {
  return {
    node: node as NodeId,
    sequence: 1,
    leaseMs: 30_000,
    addresses: [],
    owner: node as unknown as OwnerId,
    ownerCertificate: new Uint8Array(),
    zone: '',
    state: 'serving',
    devices: [],
    memoryTotalBytes: 1,
    memoryFreeBytes: 1,
    agent: 'test/1',
    versions,
  };
}

/** A peer with a neighbour that knows of nothing: who is alone has nobody to ask. */
async function createPeer(): Promise<AsyncDisposable & { readonly peer: SwarmPeer }> {
  const init = { network: 'test', mdns: false } as const;
  const neighbour = await SwarmPeer.start({
    ...init,
    privateKey: await generateKeyPair('Ed25519'),
    dhtMode: 'server',
    bootstrap: [],
    listen: ['/ip4/127.0.0.1/tcp/0'],
    sequences: createMemorySequenceStore(),
  });
  await serveRouting(neighbour);
  const peer = await SwarmPeer.start({
    ...init,
    privateKey: await generateKeyPair('Ed25519'),
    dhtMode: 'client',
    bootstrap: neighbour.addresses,
    sequences: createMemorySequenceStore(),
  });
  return {
    peer,
    [Symbol.asyncDispose]: async () => {
      await peer.stop();
      await neighbour.stop();
    },
  };
}

describe('findHeldVersions', () => {
  it('groups replicas by version, sorted by model, with the channels of the release record', async () => {
    await using scope = await createPeer();
    const { peer } = scope;
    const key = await generateKeyPair('Ed25519');
    const publisher = peerIdText(key) as PublisherId;
    const digits = version(publisher, 'digits', 'digits');
    const old = version(publisher, 'digits', 'old digits');
    const travel = version(publisher, 'travel', 'travel');
    for (const { name, cid } of [digits, version(publisher, 'travel', 'newer travel')]) {
      const move = { publisher, name, channel: 'stable', cid, nowMs: Date.now() };
      await peer.releases.offer(await signRelease(setChannel(undefined, move), key));
    }
    peer.view.add(announcement('node-b', [travel, digits]), new Uint8Array(), Date.now());
    peer.view.add(announcement('node-a', [digits, old]), new Uint8Array(), Date.now());

    const survey = await surveySwarm(peer, signal);
    expect(survey.nodes.map(({ announcement: { node } }) => node)).toEqual(['node-a', 'node-b']);
    const held = await findHeldVersions(peer, survey, signal);
    const seen = held.map(({ name, cid, channels, replicas }) => [
      name,
      cid,
      channels,
      replicas.length,
    ]);
    const [first, second] = [digits, old].sort((a, b) => (a.cid < b.cid ? -1 : 1));
    const row = (of: AnnouncedVersion | undefined) =>
      of === digits ? ['digits', digits.cid, ['stable'], 2] : ['digits', old.cid, [], 1];
    expect(seen).toEqual([row(first), row(second), ['travel', travel.cid, [], 1]]);
  });
});

describe('channelsOf', () => {
  it('is undefined without a record', () => {
    expect(channelsOf(undefined, 'bafy' as VersionCid)).toBeUndefined();
  });
});
