import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type DemandDigest,
  demandBucket,
  demandTopic,
  openDemand,
  signDemand,
} from '../../../../protocols/demand/index.ts';
import { cidOfDigest, sha256 } from '../../../../protocols/digest.ts';
import type { NodeId, VersionCid } from '../../../../protocols/types.ts';
import { DemandWatch } from '../../../../src/swarm/demand-watch.ts';
import { peerIdText } from '../../../../src/swarm/identity.ts';
import type { NodeView } from '../../../../src/swarm/view.ts';
import { GossipStub } from '../../../support/gossip-stub.ts';

const cidOf = (text: string) => cidOfDigest(sha256(Buffer.from(text))).toString() as VersionCid;
const wanted = cidOf('wanted');
const topic = demandTopic('main', demandBucket(wanted));
const otherKey = await generateKeyPair('Ed25519');
const otherId = peerIdText(otherKey);
const NONE = { arrivalsPerS: 0, refusalsPerS: 0, coldMissesPerS: 0 };

/** What another peer says of {@link wanted}, as it stands in a digest. */
function digestOf(
  sequence: number,
  arrivalsPerS: number,
  changes: Partial<DemandDigest> = {},
  key = otherKey,
): Promise<Uint8Array> {
  const rates = { ...NONE, arrivalsPerS };
  const demand = { inFlight: 1, queueWaitMs: 2, serviceTimeMs: 3 };
  return signDemand(
    {
      ...{ role: 'node' as const, sequence, stableWindowMs: 60_000, panicWindowMs: 6_000 },
      intervalMs: 10_000,
      versions: [{ cid: wanted, stable: rates, panic: rates, ...demand }],
      ...changes,
    },
    key,
  );
}

describe('DemandWatch', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  async function createWatch() {
    const stub = new GossipStub();
    const privateKey = await generateKeyPair('Ed25519');
    const id = peerIdText(privateKey);
    const holders = {
      node: (node: NodeId) => ([id, otherId].includes(node) ? ({} as NodeView) : undefined),
      isHeld: (cid: VersionCid) => cid === wanted,
      isHolder: (node: NodeId, cid: VersionCid) => cid === wanted && [id, otherId].includes(node),
    };
    const watch = new DemandWatch(stub.libp2p, {
      ...{ network: 'main', privateKey, role: 'node' as const, holders },
      ...{ stableWindowMs: 60_000, panicWindowMs: 6_000 },
    });
    watch.join(wanted);
    const told = async () => Promise.all(stub.published.map(({ bytes }) => openDemand(bytes)));
    return { stub, watch, told, id };
  }

  it('tells of a crowd within a third of the panic window, and of its end once', async () => {
    const { stub, watch, told, id } = await createWatch();
    for (let request = 0; request < 60; request += 1)
      watch.meter(wanted).refused(performance.now());
    await vi.advanceTimersByTimeAsync(2_000);
    expect(stub.published.map((one) => one.topic)).toEqual([topic]);
    const [first] = await told();
    expect(first).toMatchObject({ reporter: id, role: 'node', versions: [{ cid: wanted }] });
    expect(first?.versions[0]?.panic.refusalsPerS).toBeGreaterThan(5);
    await vi.advanceTimersByTimeAsync(150_000);
    const digests = await told();
    const rates = digests.map(({ versions }) => versions[0]?.stable.refusalsPerS ?? -1);
    expect(rates.filter((rate) => rate === 0)).toHaveLength(1);
    expect(rates.at(-1)).toBe(0);
    expect(digests.length).toBeLessThan(16);
    const sequences = digests.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...new Set(sequences)].toSorted((a, b) => a - b));
    await watch.stop();
  });

  it('tells of a crowd in time, however many others than holders are made up', async () => {
    const { stub, watch, told } = await createWatch();
    const keys = await Promise.all(Array.from({ length: 150 }, () => generateKeyPair('Ed25519')));
    for (const key of keys) await stub.hear(topic, await digestOf(1, 20, {}, key));
    expect(watch.reports(wanted)).toHaveLength(150);
    watch.meter(wanted).refused(performance.now());
    await vi.advanceTimersByTimeAsync(2_000);
    for (let request = 0; request < 60; request += 1)
      watch.meter(wanted).refused(performance.now());
    await vi.advanceTimersByTimeAsync(2_000);
    const digests = await told();
    expect(digests).toHaveLength(2);
    expect(digests[1]?.versions[0]?.panic.refusalsPerS).toBeGreaterThan(5);
    await watch.stop();
  });

  it('says nothing while nothing is asked for, and not what is not listened to', async () => {
    const { stub, watch } = await createWatch();
    await vi.advanceTimersByTimeAsync(60_000);
    const elsewhere = ['a', 'b', 'c']
      .map(cidOf)
      .find((cid) => demandBucket(cid) !== demandBucket(wanted));
    watch.meter(elsewhere ?? wanted).missed(performance.now());
    await vi.advanceTimersByTimeAsync(60_000);
    expect(stub.published).toEqual([]);
    await watch.stop();
  });

  it('takes the newest word of each peer beside its own count, until it has faded', async () => {
    const { stub, watch, id } = await createWatch();
    expect(await stub.hear(topic, await digestOf(2, 20))).toBe(TopicValidatorResult.Accept);
    expect(await stub.hear(topic, await digestOf(1, 99))).toBe(TopicValidatorResult.Ignore);
    expect(await stub.hear(topic, await digestOf(2, 20))).toBe(TopicValidatorResult.Ignore);
    watch.meter(wanted).arrived(performance.now());
    const reports = watch.reports(wanted);
    expect(reports.map(({ reporter }) => reporter)).toEqual([id, otherId]);
    expect(reports[1]).toMatchObject({ ageMs: 0, stable: { arrivalsPerS: 20 }, inFlight: 1 });
    watch.meter(wanted).left(performance.now());
    await vi.advanceTimersByTimeAsync(69_000);
    expect(watch.reports(wanted)).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(watch.reports(wanted)).toEqual([]);
    await watch.stop();
  });

  it('forgets of too many versions the one asked for longest ago', async () => {
    const { watch } = await createWatch();
    const ask = (cid: VersionCid): void => watch.meter(cid).missed(performance.now());
    const [rare, ...others] = Array.from({ length: 1_023 }, (_, index) => cidOf(`${index}`));
    if (rare === undefined) throw new Error('no version');
    ask(wanted);
    for (const cid of [rare, ...others]) ask(cid);
    await vi.advanceTimersByTimeAsync(10_000);
    ask(wanted);
    await vi.advanceTimersByTimeAsync(2_000);
    ask(cidOf('one more'));
    expect([watch.reports(rare).length, watch.reports(wanted).length]).toEqual([0, 1]);
    await watch.stop();
  });

  it('rejects what is forged or on a wrong topic', async () => {
    const { stub, watch } = await createWatch();
    const bytes = await digestOf(1, 1);
    bytes[bytes.byteLength - 1] = (bytes.at(-1) ?? 0) ^ 1;
    expect(await stub.hear(topic, bytes)).toBe(TopicValidatorResult.Reject);
    watch.joinAll();
    const wrong = demandTopic('main', (demandBucket(wanted) + 1) % 16);
    expect(await stub.hear(wrong, await digestOf(1, 1))).toBe(TopicValidatorResult.Reject);
    expect(watch.reports(wanted)).toEqual([]);
    await watch.stop();
  });

  it('checks the digests of known nodes, however many others there are', async () => {
    const { stub, watch } = await createWatch();
    const made = await digestOf(1, 1, {}, await generateKeyPair('Ed25519'));
    for (let digest = 0; digest < 200; digest += 1) await stub.hear(topic, made);
    const stranger = await digestOf(1, 1, {}, await generateKeyPair('Ed25519'));
    expect(await stub.hear(topic, stranger)).toBe(TopicValidatorResult.Ignore);
    expect(await stub.hear(topic, await digestOf(1, 1))).toBe(TopicValidatorResult.Accept);
    expect(watch.reports(wanted)).toHaveLength(2);
    await watch.stop();
  });

  it('checks no more digests of a topic than its rate allows', async () => {
    const { stub, watch } = await createWatch();
    const bytes = await digestOf(1, 1);
    for (let digest = 0; digest < 200; digest += 1) await stub.hear(topic, bytes);
    expect(await stub.hear(topic, await digestOf(2, 1))).toBe(TopicValidatorResult.Ignore);
    await vi.advanceTimersByTimeAsync(100);
    expect(await stub.hear(topic, await digestOf(3, 1))).toBe(TopicValidatorResult.Accept);
    await watch.stop();
  });
});
