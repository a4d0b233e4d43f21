import { CID } from 'multiformats/cid';
import { create } from 'multiformats/hashes/digest';
import { identity } from 'multiformats/hashes/identity';
import { describe, expect, it } from 'vitest';
import {
  cidOfDigest,
  digestOfCid,
  digestText,
  isBlockCid,
  sameBytes,
  sha256,
} from '../../../protocols/digest.ts';
import { refusal } from '../../support/refusal.ts';

const ABC = sha256(Buffer.from('abc'));

describe('sha256', () => {
  it('gives the digest of FIPS 180-4’s example', () => {
    expect(digestText(ABC)).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });

  it('hashes a view, not the memory around it', () => {
    const around = Buffer.from('xabcx');
    expect(sha256(around.subarray(1, 4))).toEqual(ABC);
    expect(digestText(Buffer.concat([ABC, ABC]).subarray(32))).toBe(digestText(ABC));
  });
});

describe('sameBytes', () => {
  it('compares content and length', () => {
    expect(sameBytes(Uint8Array.of(1, 2), Buffer.from([1, 2]))).toBe(true);
    expect(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
    expect(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1))).toBe(false);
  });
});

describe('cidOfDigest and digestOfCid', () => {
  it('are each other’s inverse', () => {
    const cid = cidOfDigest(ABC);
    expect(cid.toString()).toBe('bafyreif2pall7dybz7vecqka3zo24irdwabwdi4wc55jznaq75q7eaavvu');
    expect(digestOfCid(cid.toString())).toEqual(ABC);
    expect(isBlockCid(cid)).toBe(true);
  });
});

describe('digestOfCid', () => {
  const { multihash } = cidOfDigest(ABC);

  it.each([
    ['what is no CID', 'stable', '"stable" is not a CID'],
    ['nothing', '', '"" is not a CID'],
    [
      'raw bytes',
      CID.createV1(0x55, multihash).toString(),
      /is version 1, codec 0x55, hash 0x12; expected version 1, dag-cbor, sha256$/,
    ],
    ['version 0', CID.createV0(create(0x12, ABC)).toString(), /is version 0, codec 0x70/],
    [
      'the identity hash',
      CID.createV1(0x71, identity.digest(new Uint8Array(3))).toString(),
      /hash 0x0; expected/,
    ],
  ])('refuses %s', (_what, text, message) => {
    expect(() => digestOfCid(text)).toThrow(refusal('ERR_INVALID_INPUT', message));
  });

  it('shows a long text cut short', () => {
    expect(() => digestOfCid('x'.repeat(10_000))).toThrow(
      refusal('ERR_INVALID_INPUT', `"${'x'.repeat(120)}" is not a CID`),
    );
  });
});
