import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { describe, expect, it } from 'vitest';
import { cidOfDigest, sha256 } from '../../../../protocols/digest.ts';
import { setChannel, signRelease } from '../../../../protocols/release/index.ts';
import type { PublisherId, VersionCid } from '../../../../protocols/types.ts';
import type { SwarmLibp2p } from '../../../../src/swarm/libp2p.ts';
import { ReleaseDirectory } from '../../../../src/swarm/releases.ts';

const key = await generateKeyPair('Ed25519');
const publisher = peerIdFromPrivateKey(key).toString() as PublisherId;
const name = 'digits';
const cid = cidOfDigest(sha256(new Uint8Array())).toString() as VersionCid;

async function recordOf(sequence: number): Promise<Uint8Array> {
  const first = setChannel(undefined, {
    ...{ publisher, name, channel: 'stable', cid },
    nowMs: Date.now(),
    validityMs: 60_000,
  });
  return signRelease({ ...first, sequence }, key);
}

/** What happens in one query, in order: a peer's record or that it has none, a peer that cannot be reached, the own copy. */
type Step =
  | { readonly event: 'PEER_RESPONSE'; readonly value?: Uint8Array }
  | { readonly event: 'QUERY_ERROR' }
  | { readonly event: 'VALUE'; readonly value: Uint8Array }
  | { readonly event: 'wait'; readonly until: Promise<unknown> };

/** A directory over a DHT whose queries go as a test says, one list of steps each. */
function createDirectory(...queries: readonly (readonly Step[])[]) {
  let asked = 0;
  async function* get(_key: Uint8Array, { signal }: { readonly signal: AbortSignal }) {
    const steps = queries[asked] ?? [];
    asked += 1;
    for (const step of steps) {
      if (step.event === 'wait') {
        const aborted = new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        });
        await Promise.race([step.until, aborted]);
      } else if (step.event === 'PEER_RESPONSE') {
        yield { name: step.event, record: step.value && { value: step.value } };
      } else {
        const value = 'value' in step ? { value: step.value } : {};
        yield { name: step.event, from: peerIdFromPrivateKey(key), ...value };
      }
    }
  }
  const getConnections = (): readonly unknown[] => [];
  const libp2p = { getConnections, services: { dht: { get } } } as unknown as SwarmLibp2p;
  const releases = new ReleaseDirectory(libp2p, { push: async () => {}, joining: () => false });
  return { releases, asked: () => asked };
}

const gone = new Promise<never>(() => {});

describe('ReleaseDirectory', () => {
  it('asks the DHT once for all who want a model at once, and not again while that is recent', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const bytes = await recordOf(1);
    const { releases, asked } = createDirectory([
      { event: 'wait', until: promise },
      { event: 'PEER_RESPONSE', value: bytes },
    ]);
    const all = [1, 2, 3].map(() => releases.find(publisher, name, { maxAgeMs: 60_000 }));
    resolve();
    expect((await Promise.all(all)).map(({ record }) => record.sequence)).toEqual([1, 1, 1]);
    expect((await releases.find(publisher, name, { maxAgeMs: 60_000 })).bytes).toEqual(bytes);
    expect(asked()).toBe(1);
  });

  it('looks again for one to whom a look-up under way began too early', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { releases, asked } = createDirectory(
      [
        { event: 'PEER_RESPONSE', value: await recordOf(1) },
        { event: 'wait', until: promise },
      ],
      [{ event: 'PEER_RESPONSE', value: await recordOf(2) }],
    );
    const early = releases.find(publisher, name);
    const startedAtMs = Date.now();
    await expect.poll(() => Date.now()).toBeGreaterThan(startedAtMs);
    const late = releases.find(publisher, name, { fresh: true });
    resolve();
    expect((await early).record.sequence).toBe(1);
    expect((await late).record.sequence).toBe(2);
    expect(asked()).toBe(2);
  });

  it('takes neither news nor a repetition for proof that nothing newer is there', async () => {
    const { releases, asked } = createDirectory([
      { event: 'PEER_RESPONSE', value: await recordOf(3) },
    ]);
    const bytes = await recordOf(1);
    await releases.offer(await recordOf(2));
    await releases.offer(bytes);
    expect(releases.cached(publisher, name)?.checkedAtMs).toBe(0);
    expect((await releases.find(publisher, name)).record.sequence).toBe(3);
    expect(asked()).toBe(1);
  });

  it('goes by another peer’s look-up, and never back to an earlier one', async () => {
    const { releases, asked } = createDirectory();
    const bytes = await recordOf(1);
    const checkedAtMs = Date.now() - 1_000;
    await releases.offer(bytes, { checkedAtMs });
    await releases.offer(bytes, { checkedAtMs: checkedAtMs - 60_000 });
    expect((await releases.find(publisher, name, { maxAgeMs: 60_000 })).checkedAtMs).toBe(
      checkedAtMs,
    );
    expect(asked()).toBe(0);
  });

  it('goes by what the others had when a peer is silent', async () => {
    const { releases } = createDirectory([
      { event: 'PEER_RESPONSE' },
      { event: 'PEER_RESPONSE', value: await recordOf(4) },
      { event: 'wait', until: gone },
    ]);
    const found = await releases.find(publisher, name);
    expect(found.record.sequence).toBe(4);
    expect(found.checkedAtMs).toBeGreaterThan(0);
  });

  it('believes its own copy while there is nobody to ask, and not while nobody can be asked', async () => {
    const value = await recordOf(5);
    const alone = createDirectory([{ event: 'VALUE', value }]);
    expect((await alone.releases.find(publisher, name)).checkedAtMs).toBeGreaterThan(0);
    const cutOff = createDirectory([{ event: 'QUERY_ERROR' }, { event: 'VALUE', value }]);
    expect(await cutOff.releases.find(publisher, name)).toMatchObject({
      record: { sequence: 5 },
      checkedAtMs: 0,
    });
  });

  it('answers from memory when the caller’s time runs out, and says so when it holds nothing', async () => {
    const { releases } = createDirectory([{ event: 'wait', until: gone }]);
    const signal = AbortSignal.timeout(1);
    await expect(releases.find(publisher, name, { signal })).rejects.toMatchObject({
      code: 'ERR_DEADLINE',
    });
    await releases.offer(await recordOf(1));
    expect((await releases.find(publisher, name, { signal })).record.sequence).toBe(1);
    releases.stop();
  });
});
