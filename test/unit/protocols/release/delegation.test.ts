import { describe, expect, it } from 'vitest';
import {
  MAX_DELEGATION_BYTES,
  openDelegation,
  signDelegation,
} from '../../../../protocols/release/index.ts';
import { refusal } from '../../../support/refusal.ts';
import { certificate, NOW_MS, OTHER, PUBLISHER, publisherKey } from '../../../vectors/release.ts';

const delegation = {
  name: 'digits',
  delegate: OTHER,
  untilSequence: 10,
  expiresAtMs: NOW_MS + 86_400_000,
};

describe('signDelegation', () => {
  it('says who delegated, to whom, what, and until when', async () => {
    expect(await openDelegation(certificate)).toEqual({ publisher: PUBLISHER, ...delegation });
    expect(certificate.byteLength).toBeLessThan(MAX_DELEGATION_BYTES);
  });

  it('refuses to delegate to the publisher itself', async () => {
    await expect(
      signDelegation({ ...delegation, delegate: PUBLISHER }, publisherKey),
    ).rejects.toEqual(refusal('ERR_INVALID_RECORD', /expected another key than the publisher's$/));
  });

  it.each([
    ['name', { name: '../digits' }],
    ['delegate', { delegate: 'ci' as typeof OTHER }],
    ['untilSequence', { untilSequence: 0 }],
    ['expiresAtMs', { expiresAtMs: -1 }],
  ])('refuses a wrong %s', async (field, change) => {
    await expect(signDelegation({ ...delegation, ...change }, publisherKey)).rejects.toEqual(
      refusal('ERR_INVALID_RECORD', new RegExp(`^delegation .*field ${field}`)),
    );
  });
});

describe('openDelegation', () => {
  it('refuses a certificate at every cut of its bytes', async () => {
    for (let length = 0; length < certificate.byteLength; length += 1) {
      await expect(openDelegation(certificate.subarray(0, length))).rejects.toMatchObject({
        code: 'ERR_INVALID_RECORD',
      });
    }
  });

  it('refuses one byte more than the limit', async () => {
    await expect(openDelegation(new Uint8Array(MAX_DELEGATION_BYTES + 1))).rejects.toMatchObject({
      code: 'ERR_LIMIT',
    });
  });
});
