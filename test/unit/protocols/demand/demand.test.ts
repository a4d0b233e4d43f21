import * as dagCbor from '@ipld/dag-cbor';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { signEnvelope } from '../../../../protocols/codec/signed-envelope.ts';
import {
  type DemandDigest,
  demandBucket,
  MAX_DEMAND_VERSIONS,
  openDemand,
  signDemand,
} from '../../../../protocols/demand/index.ts';
import { cidOfDigest, sha256 } from '../../../../protocols/digest.ts';
import { MAX_DEMAND_BYTES } from '../../../../protocols/limits.ts';
import type { VersionCid } from '../../../../protocols/types.ts';
import { brokenDemands, demandPayload } from '../../../vectors/demand.ts';

const DOMAIN = 'gpu-swarm:demand:1';
const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(7));
const reporter = peerIdFromPrivateKey(key).toString();

const [payloadVersion] = demandPayload.versions;
if (payloadVersion === undefined) expect.fail('the vector has no version');

const version = {
  cid: payloadVersion.cid.toString() as VersionCid,
  stable: { arrivalsPerS: 12.5, refusalsPerS: 0, coldMissesPerS: 0.017 },
  panic: { arrivalsPerS: 40, refusalsPerS: 2.5, coldMissesPerS: 0 },
  inFlight: 3.25,
  queueWaitMs: 18,
  serviceTimeMs: 22.75,
};

const digest: Omit<DemandDigest, 'reporter'> = {
  ...demandPayload,
  role: 'node',
  versions: [version],
};

describe('signDemand and openDemand', () => {
  it('give back what was counted, and who counted it', async () => {
    expect(await openDemand(await signDemand(digest, key))).toEqual({ ...digest, reporter });
  });

  it('write the payload of docs/protocols/demand.md', async () => {
    const [signer, payload] = dagCbor.decode<[string, Uint8Array]>(await signDemand(digest, key));
    expect(signer).toBe(reporter);
    expect(dagCbor.decode(payload)).toEqual(demandPayload);
  });

  it('keep a rate to a thousandth of a request a second', async () => {
    await fc.assert(
      fc.asyncProperty(fc.double({ min: 0, max: 1e6, noNaN: true }), async (arrivalsPerS) => {
        const stable = { ...version.stable, arrivalsPerS };
        const signed = await signDemand({ ...digest, versions: [{ ...version, stable }] }, key);
        const found = (await openDemand(signed)).versions[0]?.stable.arrivalsPerS;
        expect(Math.abs((found ?? -1) - arrivalsPerS)).toBeLessThanOrEqual(0.000_51);
      }),
      { numRuns: 50 },
    );
  });

  it('tell what is beyond the wire as the most it can say', async () => {
    const beyond = { ...version, queueWaitMs: 1e12, inFlight: Number.POSITIVE_INFINITY };
    const opened = await openDemand(await signDemand({ ...digest, versions: [beyond] }, key));
    expect(opened.versions[0]).toMatchObject({ queueWaitMs: 0xffff_ffff, inFlight: 1e6 });
  });

  it('carry the most that a digest may say within its bound', async () => {
    const most = { arrivalsPerS: 1e6, refusalsPerS: 1e6, coldMissesPerS: 1e6 };
    const versions = Array.from({ length: MAX_DEMAND_VERSIONS }, (_, index) => ({
      cid: cidOfDigest(sha256(Uint8Array.of(index))).toString() as VersionCid,
      ...{ stable: most, panic: most, inFlight: 1e6, queueWaitMs: 0xffff_ffff },
      serviceTimeMs: 4_294_967.295,
    }));
    const full = { ...digest, role: 'client' as const, versions };
    const bytes = await signDemand(full, key);
    expect(bytes.byteLength).toBeLessThanOrEqual(MAX_DEMAND_BYTES);
    expect(await openDemand(bytes)).toEqual({ ...full, reporter });
  });

  it('pass over fields of a later program', async () => {
    const payload = dagCbor.encode({ ...demandPayload, later: 1 });
    expect(await openDemand(await signEnvelope(DOMAIN, payload, key))).toEqual({
      ...digest,
      reporter,
    });
  });

  it.each(brokenDemands)('refuse the payload $name', async ({ payload, names }) => {
    const bytes = await signEnvelope(DOMAIN, payload, key);
    await expect(openDemand(bytes)).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
      message: expect.stringMatching(names),
    });
  });

  it('refuse a signature of another domain', async () => {
    const outcome = await signEnvelope('gpu-swarm:outcome:1', dagCbor.encode(demandPayload), key);
    await expect(openDemand(outcome)).rejects.toMatchObject({ code: 'ERR_INVALID_RECORD' });
  });

  it('refuse one byte over the bound before anything else', async () => {
    await expect(openDemand(new Uint8Array(MAX_DEMAND_BYTES + 1))).rejects.toMatchObject({
      code: 'ERR_LIMIT',
    });
    await expect(openDemand(new Uint8Array(MAX_DEMAND_BYTES))).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
    });
  });

  it('sign nothing that others would refuse', async () => {
    const nonsense = { ...version, cid: 'nonsense' as VersionCid };
    await expect(signDemand({ ...digest, sequence: 0 }, key)).rejects.toThrow(/sequence/);
    await expect(signDemand({ ...digest, versions: [nonsense] }, key)).rejects.toThrow(/cid/);
    const negative = { ...version, queueWaitMs: -1 };
    await expect(signDemand({ ...digest, versions: [negative] }, key)).rejects.toThrow(/waitMs/);
  });
});

describe('demandBucket', () => {
  it('is the bucket of docs/protocols/demand.md', () => {
    expect(demandBucket(version.cid)).toBe(13);
  });
});
