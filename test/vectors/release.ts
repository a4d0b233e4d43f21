import * as dagCbor from '@ipld/dag-cbor';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { CID } from 'multiformats/cid';
import { signEnvelope } from '../../protocols/codec/signed-envelope.ts';
import type { ErrorCode } from '../../protocols/errors.ts';
import {
  type ReleaseRecord,
  setChannel,
  signDelegation,
  signRelease,
} from '../../protocols/release/index.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';

/** A time all vectors are judged at: 2026-01-01T00:00:00Z. */
export const NOW_MS = 1_767_225_600_000;

export const CID_A = 'bafyreigfgobggyyn37zoptjtamrw7nuql7qmdocz4nirtx5adrznfpwgme' as VersionCid;
export const CID_B = 'bafyreih4bhdmqy3ppkuvh2p72snikcslprejltiow5gpkzfdd2a4xxnvjm' as VersionCid;

/** The keys that vectors are signed with: made from fixed seeds, so that the bytes never change. */
export const publisherKey: PrivateKey = await generateKeyPairFromSeed(
  'Ed25519',
  new Uint8Array(32).fill(7),
);
export const otherKey: PrivateKey = await generateKeyPairFromSeed(
  'Ed25519',
  new Uint8Array(32).fill(8),
);
const thirdKey = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(9));
const THIRD = peerIdFromPrivateKey(thirdKey).toString() as PublisherId;
export const PUBLISHER = peerIdFromPrivateKey(publisherKey).toString() as PublisherId;
export const OTHER = peerIdFromPrivateKey(otherKey).toString() as PublisherId;

/** A record of sequence 1 whose channel `stable` points at {@link CID_A}. */
export const firstRecord: ReleaseRecord = setChannel(undefined, {
  publisher: PUBLISHER,
  name: 'digits',
  channel: 'stable',
  cid: CID_A,
  nowMs: NOW_MS,
  validityMs: 86_400_000,
});

/** The publisher's word that {@link otherKey} may move `digits` up to sequence 10, for a day. */
export const certificate: Uint8Array = await signDelegation(
  { name: 'digits', delegate: OTHER, untilSequence: 10, expiresAtMs: NOW_MS + 86_400_000 },
  publisherKey,
);

/** {@link firstRecord} as the delegate signs it. */
export const delegatedRecord: ReleaseRecord = { ...firstRecord, certificate };

export interface ReleaseVector {
  /** What is wrong with it, or what is remarkable though right. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** When it is looked at. */
  readonly nowMs: number;
  /** The code it is refused with, or what it decodes to. */
  readonly refused?: ErrorCode;
  readonly message?: RegExp;
  readonly record?: ReleaseRecord;
}

const valid = await signRelease(firstRecord, publisherKey);

/** A payload as any signer could write it, right or wrong. */
export function payloadOf(changes: Record<string, unknown>): Uint8Array {
  return dagCbor.encode({
    schema: 1,
    publisher: PUBLISHER,
    name: 'digits',
    sequence: 1,
    channels: { stable: { cid: CID.parse(CID_A) } },
    history: [{ sequence: 1, channel: 'stable', cid: CID.parse(CID_A), atMs: NOW_MS }],
    issuedAtMs: NOW_MS,
    expiresAtMs: NOW_MS + 86_400_000,
    ...changes,
  });
}

async function signed(changes: Record<string, unknown>, key = publisherKey): Promise<Uint8Array> {
  return signEnvelope('gpu-swarm:release:1', payloadOf(changes), key);
}

function flipped(bytes: Uint8Array, index: number): Uint8Array {
  const copy = bytes.slice();
  copy[index] = (copy[index] ?? 0) ^ 1;
  return copy;
}

const REFUSED = 'ERR_INVALID_RECORD' as const;

/** A record that {@link otherKey} signs, with any certificate. */
async function delegated(bytes: Uint8Array, changes: Record<string, unknown> = {}) {
  return signed({ certificate: bytes, ...changes }, otherKey);
}

const guarded = {
  cid: CID.parse(CID_B),
  weight: 0.05,
  previous: CID.parse(CID_A),
  guard: { maxErrorRate: 0.02, minReporters: 3 },
};

/** What a certificate that another publisher signed says. */
const theirs = { name: 'digits', untilSequence: 10, expiresAtMs: NOW_MS + 86_400_000 };

export const releaseVectors: readonly ReleaseVector[] = [
  { name: 'valid', bytes: valid, nowMs: NOW_MS, record: firstRecord },
  {
    name: 'unknown-field',
    bytes: await signed({ team: 'vision' }),
    nowMs: NOW_MS,
    record: firstRecord,
  },
  {
    name: 'issued-by-a-clock-one-hour-ahead',
    bytes: valid,
    nowMs: NOW_MS - 3_600_000,
    record: firstRecord,
  },
  {
    name: 'broken-signature',
    bytes: flipped(valid, valid.byteLength - 1),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /signature/,
  },
  {
    name: 'changed-payload',
    bytes: flipped(valid, Math.floor(valid.byteLength / 2)),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /signature/,
  },
  {
    name: 'wrong-publisher-key',
    bytes: await signed({}, otherKey),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /signed by .* expected its publisher/,
  },
  {
    name: 'signature-of-another-domain',
    bytes: await signEnvelope('gpu-swarm:capacity:1', payloadOf({}), publisherKey),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /signature/,
  },
  {
    name: 'expired',
    bytes: valid,
    nowMs: NOW_MS + 86_400_000,
    refused: REFUSED,
    message: /expired at 2026-01-02/,
  },
  {
    name: 'from-the-far-future',
    bytes: valid,
    nowMs: NOW_MS - 7_200_001,
    refused: REFUSED,
    message: /ahead of this machine's clock/,
  },
  {
    name: 'oversized',
    bytes: new Uint8Array(16 * 1024 + 1),
    nowMs: NOW_MS,
    refused: 'ERR_LIMIT',
    message: /16385 bytes, expected at most 16384/,
  },
  {
    name: 'truncated',
    bytes: valid.subarray(0, valid.byteLength - 10),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /not dag-cbor/,
  },
  { name: 'empty', bytes: new Uint8Array(0), nowMs: NOW_MS, refused: REFUSED },
  {
    name: 'bad-name',
    bytes: await signed({ name: '../digits' }),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /field name/,
  },
  {
    name: 'bad-channel-name',
    bytes: await signed({ channels: { 'Sta ble': { cid: CID.parse(CID_A) } } }),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /field channels/,
  },
  {
    name: 'zero-sequence',
    bytes: await signed({ sequence: 0 }),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /field sequence/,
  },
  {
    name: 'fractional-sequence',
    bytes: await signed({ sequence: 1.5 }),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /field sequence/,
  },
  {
    name: 'cid-as-text',
    bytes: await signed({ channels: { stable: { cid: CID_A } } }),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /field channels\.stable\.cid/,
  },
  {
    name: 'weight-above-one',
    bytes: await signed({ channels: { canary: { cid: CID.parse(CID_A), weight: 1.01 } } }),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /field channels\.canary\.weight/,
  },
  {
    name: 'ends-before-it-begins',
    bytes: await signed({ expiresAtMs: NOW_MS }),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /field expiresAtMs/,
  },
  {
    name: 'later-schema',
    bytes: await signed({ schema: 2 }),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /field schema/,
  },
  {
    name: 'guarded-canary',
    bytes: await signed({ channels: { canary: guarded } }),
    nowMs: NOW_MS,
    record: {
      ...firstRecord,
      channels: {
        canary: {
          cid: CID_B,
          weight: 0.05,
          previous: CID_A,
          guard: { maxErrorRate: 0.02, minReporters: 3 },
        },
      },
    },
  },
  {
    name: 'guard-that-one-liar-trips',
    bytes: await signed({ channels: { canary: { ...guarded, guard: { minReporters: 1 } } } }),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /field channels\.canary\.guard\.minReporters/,
  },
  {
    name: 'guard-rate-above-one',
    bytes: await signed({ channels: { canary: { ...guarded, guard: { maxErrorRate: 1.01 } } } }),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /field channels\.canary\.guard\.maxErrorRate/,
  },
  {
    name: 'previous-as-text',
    bytes: await signed({ channels: { canary: { ...guarded, previous: CID_A } } }),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /field channels\.canary\.previous/,
  },
  {
    name: 'signed-by-a-delegate',
    bytes: await delegated(certificate),
    nowMs: NOW_MS,
    record: delegatedRecord,
  },
  {
    name: 'signed-by-a-delegate-at-its-last-sequence',
    bytes: await delegated(certificate, { sequence: 10 }),
    nowMs: NOW_MS,
    record: { ...delegatedRecord, sequence: 10 },
  },
  {
    name: 'beyond-the-last-sequence-of-its-certificate',
    bytes: await delegated(certificate, { sequence: 11 }),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /record 11 .* whose certificate ends at sequence 10/,
  },
  {
    name: 'outlives-its-certificate',
    bytes: await delegated(certificate, { expiresAtMs: NOW_MS + 86_400_001 }),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /longer than the certificate/,
  },
  {
    name: 'certificate-for-another-key',
    bytes: await delegated(await signDelegation({ ...theirs, delegate: THIRD }, publisherKey)),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /carries the certificate of .* for /,
  },
  {
    name: 'certificate-for-another-model',
    bytes: await delegated(
      await signDelegation({ ...theirs, name: 'letters', delegate: OTHER }, publisherKey),
    ),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /carries the certificate of \w+\/letters for /,
  },
  {
    name: 'certificate-of-another-publisher',
    bytes: await delegated(await signDelegation({ ...theirs, delegate: OTHER }, thirdKey)),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /carries the certificate of /,
  },
  {
    name: 'certificate-with-a-broken-signature',
    bytes: await delegated(flipped(certificate, certificate.byteLength - 1)),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /gpu-swarm:delegation:1 record has a signature that is not by/,
  },
  {
    name: 'certificate-that-is-a-record',
    bytes: await delegated(valid),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /gpu-swarm:delegation:1/,
  },
  {
    name: 'certificate-one-byte-too-long',
    bytes: await delegated(new Uint8Array(1025)),
    nowMs: NOW_MS,
    refused: 'ERR_LIMIT',
    message: /1025 bytes, expected at most 1024/,
  },
  {
    name: 'certificate-as-text',
    bytes: await signed({ certificate: 'certificate' }, otherKey),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /field certificate/,
  },
  {
    name: 'publisher-with-a-certificate',
    bytes: await signed({ certificate }),
    nowMs: NOW_MS,
    refused: REFUSED,
    message: /signed by its publisher, expected no certificate/,
  },
];
