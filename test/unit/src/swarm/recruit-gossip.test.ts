import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openRecruit, recruitTopic, signRecruit } from '../../../../protocols/demand/index.ts';
import { cidOfDigest, sha256 } from '../../../../protocols/digest.ts';
import type { PublisherId, VersionCid } from '../../../../protocols/types.ts';
import { peerIdText } from '../../../../src/swarm/identity.ts';
import { RecruitGossip } from '../../../../src/swarm/recruit-gossip.ts';
import { GossipStub } from '../../../support/gossip-stub.ts';

const cidOf = (text: string) => cidOfDigest(sha256(Buffer.from(text))).toString() as VersionCid;
const topic = recruitTopic('main');
const otherKey = await generateKeyPair('Ed25519');
const notice = {
  publisher: peerIdText(otherKey) as PublisherId,
  name: 'digits',
  cid: cidOf('digits'),
  desired: 3,
  have: 1,
  deficit: 2,
  memoryBytes: 1_000,
  providers: null,
};

describe('RecruitGossip', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  async function createGossip() {
    const stub = new GossipStub();
    const privateKey = await generateKeyPair('Ed25519');
    const init = { network: 'main', privateKey, intervalMs: 10_000 };
    const gossip = new RecruitGossip(stub.libp2p, init);
    gossip.join();
    const heard: VersionCid[] = [];
    gossip.onNotice(({ cid }) => heard.push(cid));
    return { stub, gossip, heard };
  }

  it('tells of a version once in its interval, whoever of them does', async () => {
    const { stub, gossip, heard } = await createGossip();
    await gossip.publish(notice);
    await gossip.publish(notice);
    expect(stub.published.map((one) => one.topic)).toEqual([topic]);
    const [published] = stub.published;
    expect(published && (await openRecruit(published.bytes))).toMatchObject(notice);
    const theirs = await signRecruit({ ...notice, sequence: 1 }, otherKey);
    expect(await stub.hear(topic, theirs)).toBe(TopicValidatorResult.Ignore);
    expect(heard).toEqual([]);
    await vi.advanceTimersByTimeAsync(5_000);
    const later = await signRecruit({ ...notice, sequence: 2 }, otherKey);
    expect(await stub.hear(topic, later)).toBe(TopicValidatorResult.Accept);
    expect(heard).toEqual([notice.cid]);
    await gossip.publish(notice);
    expect(stub.published).toHaveLength(1);
  });

  it('lets nobody silence a version by naming a model that it is not of', async () => {
    const { stub, gossip, heard } = await createGossip();
    const madeUp = await signRecruit({ ...notice, name: 'made-up', sequence: 1 }, otherKey);
    expect(await stub.hear(topic, madeUp)).toBe(TopicValidatorResult.Accept);
    expect(gossip.spokenAtMs(notice)).toBe(0);
    await gossip.publish(notice);
    expect(stub.published).toHaveLength(1);
    expect(heard).toEqual([notice.cid]);
  });

  it('passes over what is repeated or too much, and rejects what is forged', async () => {
    const { stub, heard } = await createGossip();
    const signed = (sequence: number, text: string) =>
      signRecruit({ ...notice, sequence, cid: cidOf(text) }, otherKey);
    expect(await stub.hear(topic, await signed(2, 'a'))).toBe(TopicValidatorResult.Accept);
    expect(await stub.hear(topic, await signed(1, 'b'))).toBe(TopicValidatorResult.Ignore);
    const forged = await signed(3, 'c');
    forged[forged.byteLength - 1] = (forged.at(-1) ?? 0) ^ 1;
    expect(await stub.hear(topic, forged)).toBe(TopicValidatorResult.Reject);
    for (let seen = 0; seen < 97; seen += 1) await stub.hear(topic, forged);
    expect(await stub.hear(topic, await signed(4, 'd'))).toBe(TopicValidatorResult.Ignore);
    expect(heard).toEqual([cidOf('a')]);
  });
});
