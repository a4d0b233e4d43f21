import * as dagCbor from '@ipld/dag-cbor';
import { generateKeyPair, generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { describe, expect, it } from 'vitest';
import { signEnvelope } from '../../../../protocols/codec/signed-envelope.ts';
import { cidOfDigest, sha256 } from '../../../../protocols/digest.ts';
import { MAX_OUTCOME_BYTES } from '../../../../protocols/limits.ts';
import {
  answeredCount,
  failedCount,
  LATENCY_BUCKETS,
  MAX_OUTCOME_VERSIONS,
  type OutcomeDigest,
  openOutcome,
  signOutcome,
} from '../../../../protocols/outcome/index.ts';
import type { PublisherId, VersionCid } from '../../../../protocols/types.ts';
import { brokenOutcomes, outcomePayload } from '../../../vectors/outcome.ts';

const DOMAIN = 'gpu-swarm:outcome:1';
const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(7));
const reporter = peerIdFromPrivateKey(key).toString();

const digest: Omit<OutcomeDigest, 'reporter'> = {
  ...outcomePayload,
  publisher: outcomePayload.publisher as PublisherId,
  versions: outcomePayload.versions.map((version) => ({
    ...version,
    cid: version.cid.toString() as VersionCid,
  })),
};

describe('signOutcome and openOutcome', () => {
  it('give back what was counted, and who counted it', async () => {
    expect(await openOutcome(await signOutcome(digest, key))).toEqual({ ...digest, reporter });
  });

  it('write the payload of docs/protocols/outcome.md', async () => {
    const [signer, payload] = dagCbor.decode<[string, Uint8Array]>(await signOutcome(digest, key));
    expect(signer).toBe(reporter);
    expect(dagCbor.decode(payload)).toEqual(outcomePayload);
  });

  it('leave out the empty buckets at the end', async () => {
    const latencies = [1, 0, 2, ...Array.from({ length: 37 }, () => 0)];
    const [version] = digest.versions;
    if (version === undefined) expect.fail('no version');
    const opened = await openOutcome(
      await signOutcome({ ...digest, versions: [{ ...version, latencies }] }, key),
    );
    expect(opened.versions[0]?.latencies).toEqual([1, 0, 2]);
  });

  it('carry the most that a digest may say within its bound', async () => {
    const versions = Array.from({ length: MAX_OUTCOME_VERSIONS }, (_, index) => ({
      cid: cidOfDigest(sha256(Uint8Array.of(index))).toString() as VersionCid,
      execution: 0xffff_ffff,
      timeout: 0xffff_ffff,
      latencies: Array.from({ length: LATENCY_BUCKETS }, () => 0xffff_ffff),
    }));
    const most = {
      ...digest,
      name: 'n'.repeat(64),
      release: Number.MAX_SAFE_INTEGER,
      windowMs: 86_400_000,
      versions,
    };
    const bytes = await signOutcome(most, key);
    expect(bytes.byteLength).toBeLessThanOrEqual(MAX_OUTCOME_BYTES);
    expect(await openOutcome(bytes)).toEqual({ ...most, reporter });
  });

  it('pass over fields of a later program', async () => {
    const payload = dagCbor.encode({ ...outcomePayload, later: 1 });
    expect(await openOutcome(await signEnvelope(DOMAIN, payload, key))).toEqual({
      ...digest,
      reporter,
    });
  });

  it.each(brokenOutcomes)('refuse the payload $name', async ({ payload, names }) => {
    const bytes = await signEnvelope(DOMAIN, payload, key);
    await expect(openOutcome(bytes)).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
      message: expect.stringMatching(names),
    });
  });

  it('refuse a signature of another domain, or of another key', async () => {
    const payload = dagCbor.encode(outcomePayload);
    const capacity = await signEnvelope('gpu-swarm:capacity:1', payload, key);
    await expect(openOutcome(capacity)).rejects.toMatchObject({ code: 'ERR_INVALID_RECORD' });
    const other = peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString();
    const [, , signature] = dagCbor.decode<[string, Uint8Array, Uint8Array]>(
      await signOutcome(digest, key),
    );
    const forged = new Uint8Array(dagCbor.encode([other, payload, signature]));
    await expect(openOutcome(forged)).rejects.toMatchObject({ code: 'ERR_INVALID_RECORD' });
  });

  it('refuse one byte over the bound before anything else', async () => {
    await expect(openOutcome(new Uint8Array(MAX_OUTCOME_BYTES + 1))).rejects.toMatchObject({
      code: 'ERR_LIMIT',
    });
    await expect(openOutcome(new Uint8Array(MAX_OUTCOME_BYTES))).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
    });
  });

  it('sign nothing that others would refuse', async () => {
    await expect(signOutcome({ ...digest, release: 0 }, key)).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
    });
    const [version] = digest.versions;
    if (version === undefined) expect.fail('no version');
    const versions = [{ ...version, cid: 'nonsense' as VersionCid }];
    await expect(signOutcome({ ...digest, versions }, key)).rejects.toThrow(/cid/);
  });
});

describe('answeredCount and failedCount', () => {
  it('add up the buckets, and both kinds of failure', () => {
    const [version] = digest.versions;
    expect(version && answeredCount(version)).toBe(14);
    expect(version && failedCount(version)).toBe(4);
  });
});
