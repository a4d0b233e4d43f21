import * as dagCbor from '@ipld/dag-cbor';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { CID } from 'multiformats/cid';
import { signEnvelope } from '../../protocols/codec/signed-envelope.ts';
import type { ErrorCode } from '../../protocols/errors.ts';
import { type ReleaseRecord, setChannel, signRelease } from '../../protocols/release/index.ts';
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

export const releaseVectors: readonly ReleaseVector[] = [
  { name: 'valid', bytes: valid, nowMs: NOW_MS, record: firstRecord },
  {
    name: 'unknown-field',
    bytes: await signed({ guard: { errorRate: 0.1 } }),
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
];
