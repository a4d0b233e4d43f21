import * as dagCbor from '@ipld/dag-cbor';
import { describe, expect, it } from 'vitest';
import { signEnvelope } from '../../../../protocols/codec/signed-envelope.ts';
import {
  GRANT_VALIDITY_MS,
  MAX_GRANT_BYTES,
  openPlacementGrant,
  signPlacementGrant,
} from '../../../../protocols/replica/index.ts';
import { refusal } from '../../../support/refusal.ts';
import {
  CID_A,
  certificate,
  NOW_MS,
  OTHER,
  otherKey,
  PUBLISHER,
  publisherKey,
} from '../../../vectors/release.ts';

const HOUR_MS = 3_600_000;
const version = { name: 'digits', cid: CID_A };
const sign = () => signPlacementGrant(version, publisherKey, NOW_MS);

async function forged(changes: Record<string, unknown>): Promise<Uint8Array> {
  const payload = { ...version, issuedAtMs: NOW_MS, expiresAtMs: NOW_MS + HOUR_MS, ...changes };
  return signEnvelope('gpu-swarm:placement:1', dagCbor.encode(payload), publisherKey);
}

describe('A placement grant', () => {
  it('says whose it is, what it is for and how long it is good', async () => {
    expect(await openPlacementGrant(await sign(), NOW_MS)).toEqual({
      ...version,
      publisher: PUBLISHER,
      issuedAtMs: NOW_MS,
      expiresAtMs: NOW_MS + GRANT_VALIDITY_MS,
    });
  });

  it('is good until the millisecond before it expires, and two hours before it was issued', async () => {
    const grant = await sign();
    const last = NOW_MS + GRANT_VALIDITY_MS - 1;
    await expect(openPlacementGrant(grant, last)).resolves.toMatchObject(version);
    await expect(openPlacementGrant(grant, last + 1)).rejects.toEqual(
      refusal('ERR_INVALID_RECORD', /is good from \S+Z to \S+Z, the clock here says \S+Z/),
    );
    await expect(openPlacementGrant(grant, NOW_MS - 2 * HOUR_MS)).resolves.toMatchObject(version);
    await expect(openPlacementGrant(grant, NOW_MS - 2 * HOUR_MS - 1)).rejects.toEqual(
      refusal('ERR_INVALID_RECORD', /is good from/),
    );
  });

  it('is refused with a changed byte anywhere', async () => {
    const grant = await sign();
    for (let index = 0; index < grant.byteLength; index += 1) {
      const changed = Uint8Array.from(grant);
      changed[index] = (changed[index] ?? 0) ^ 1;
      await expect(openPlacementGrant(changed, NOW_MS), `byte ${index}`).rejects.toMatchObject({
        code: 'ERR_INVALID_RECORD',
      });
    }
  });

  it.each([
    ['a name that is none', { name: '../x' }],
    ['a CID that is none', { cid: 'stable' }],
    ['a CID in another text', { cid: CID_A.toUpperCase() }],
    ['a time that is none', { issuedAtMs: -1 }],
    ['a part missing', { expiresAtMs: null }],
  ])('is refused with %s', async (_what, changes) => {
    await expect(openPlacementGrant(await forged(changes), NOW_MS)).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
    });
  });

  it('may be signed by a delegate, and is the publisher’s who delegated', async () => {
    const grant = await signPlacementGrant({ ...version, certificate }, otherKey, NOW_MS);
    expect(grant.byteLength).toBeLessThan(MAX_GRANT_BYTES);
    const opened = await openPlacementGrant(grant, NOW_MS);
    expect(opened).toMatchObject({
      ...version,
      publisher: PUBLISHER,
      delegation: { delegate: OTHER, untilSequence: 10 },
    });
    const ended = opened.delegation?.expiresAtMs ?? expect.fail('no delegation');
    await expect(openPlacementGrant(grant, ended - 1)).resolves.toMatchObject(version);
    await expect(openPlacementGrant(grant, ended)).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
    });
  });

  it('is refused with a certificate for another key or another name', async () => {
    const wrong = [
      await signPlacementGrant({ ...version, certificate }, publisherKey, NOW_MS),
      await signPlacementGrant({ ...version, name: 'letters', certificate }, otherKey, NOW_MS),
    ];
    for (const grant of wrong) {
      await expect(openPlacementGrant(grant, NOW_MS)).rejects.toEqual(
        refusal('ERR_INVALID_RECORD', /carries the certificate of \w+\/digits for /),
      );
    }
    const damaged = await signPlacementGrant(
      { ...version, certificate: certificate.slice(0, -1) },
      otherKey,
      NOW_MS,
    );
    await expect(openPlacementGrant(damaged, NOW_MS)).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
    });
  });

  it('is refused when another record is passed off as one', async () => {
    const payload = dagCbor.encode({ ...version, issuedAtMs: NOW_MS, expiresAtMs: NOW_MS + 1 });
    const release = await signEnvelope('gpu-swarm:release:1', payload, otherKey);
    await expect(openPlacementGrant(release, NOW_MS)).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
    });
  });

  it('is refused beyond its bound before anything of it is read', async () => {
    await expect(
      openPlacementGrant(new Uint8Array(MAX_GRANT_BYTES + 1), NOW_MS),
    ).rejects.toMatchObject({ code: 'ERR_LIMIT' });
    await expect(openPlacementGrant(new Uint8Array(MAX_GRANT_BYTES), NOW_MS)).rejects.toMatchObject(
      { code: 'ERR_INVALID_RECORD' },
    );
  });
});
