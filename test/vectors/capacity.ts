import * as dagCbor from '@ipld/dag-cbor';
import { generateKeyPair, generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import {
  type AnnouncedVersion,
  type Announcement,
  signOwnerCertificate,
} from '../../protocols/capacity/index.ts';
import { signEnvelope } from '../../protocols/codec/signed-envelope.ts';
import type { ErrorCode } from '../../protocols/errors.ts';
import type { NodeId, OwnerId, PublisherId, VersionCid } from '../../protocols/types.ts';

async function keyOf(seed: number): Promise<PrivateKey> {
  return generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(seed));
}

/** The keys that vectors are signed with: made from fixed seeds, so that the bytes never change. */
export const nodeKey = await keyOf(1);
export const ownerKey = await keyOf(2);
export const strangerKey = await keyOf(3);

export const NODE = peerIdFromPrivateKey(nodeKey).toString() as NodeId;
export const OWNER = peerIdFromPrivateKey(ownerKey).toString() as OwnerId;
export const STRANGER = peerIdFromPrivateKey(strangerKey).toString() as NodeId;

export const VERSION: AnnouncedVersion = {
  cid: 'bafyreigfgobggyyn37zoptjtamrw7nuql7qmdocz4nirtx5adrznfpwgme' as VersionCid,
  publisher: STRANGER as string as PublisherId,
  name: 'digits',
  state: 'ready',
  load: { inFlight: 1, queued: 2, slots: 3, serviceMs: 4.5 },
};

/** What a node of another owner announces. */
export const announcement: Announcement = {
  node: NODE,
  sequence: 1_767_225_600_000,
  leaseMs: 30_000,
  addresses: ['/ip4/127.0.0.1/tcp/4001', '/dns4/node.example/tcp/443/tls/ws'],
  owner: OWNER,
  ownerCertificate: await signOwnerCertificate(NODE, ownerKey),
  zone: 'eu-west',
  state: 'serving',
  devices: [{ kind: 'cpu', name: 'AMD EPYC', memoryBytes: null, providers: ['cpu'] }],
  memoryTotalBytes: 64e9,
  memoryFreeBytes: 32e9,
  agent: 'gpu-swarm/0.1.0',
  versions: [VERSION],
};

export interface AnnouncementVector {
  /** What is wrong with it, or what is remarkable though right. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly refused?: ErrorCode;
  readonly message?: string | RegExp;
  readonly announcement?: Announcement;
}

/** An announcement as any signer could write it, right or wrong. What is undefined is left out. */
async function signed(changes: Record<string, unknown>, key = nodeKey): Promise<Uint8Array> {
  const fields = Object.entries({ ...announcement, ...changes });
  const payload = Object.fromEntries(fields.filter(([, value]) => value !== undefined));
  return signEnvelope('gpu-swarm:capacity:1', dagCbor.encode(payload), key);
}

async function signedBytes(payload: Uint8Array): Promise<Uint8Array> {
  return signEnvelope('gpu-swarm:capacity:1', payload, nodeKey);
}

async function refused(
  name: string,
  bytes: Uint8Array | Promise<Uint8Array>,
  message: string | RegExp,
): Promise<AnnouncementVector> {
  return { name, bytes: await bytes, refused: 'ERR_INVALID_RECORD', message };
}

function flipped(bytes: Uint8Array, index: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy[index] = (copy[index] ?? 0) ^ 1;
  return copy;
}

/** All that a node may leave out, said. */
const RARE: Pick<Announcement, 'state' | 'devices' | 'versions'> = {
  state: 'paused',
  devices: [
    {
      kind: 'gpu',
      name: 'NVIDIA T4',
      memoryBytes: 16e9,
      providers: ['cuda'],
      freeBytes: 0,
      busyPercent: 100,
    },
  ],
  versions: [
    { ...VERSION, state: 'cold', etaMs: 0 },
    { ...VERSION, state: 'quarantined', note: 'n'.repeat(100) },
  ],
};

const valid = await signed({});
const own = await signOwnerCertificate(NODE, nodeKey);
const otherKindOfKey = await generateKeyPair('secp256k1');

export const announcementVectors: readonly AnnouncementVector[] = [
  { name: 'valid', bytes: valid, announcement },
  { name: 'an unknown key', bytes: await signed({ later: [1] }), announcement },
  {
    name: 'a node that is its own owner',
    bytes: await signed({ owner: NODE, ownerCertificate: own }),
    announcement: { ...announcement, owner: NODE as string as OwnerId, ownerCertificate: own },
  },
  {
    name: 'a paused node with a busy GPU, a cold version and one in quarantine',
    bytes: await signed(RARE),
    announcement: { ...announcement, ...RARE },
  },
  {
    name: 'a node that says what room it has left',
    bytes: await signed({ roomBytes: 0, diskFreeBytes: 1e12 }),
    announcement: { ...announcement, roomBytes: 0, diskFreeBytes: 1e12 },
  },
  {
    name: 'nothing but what must be there',
    bytes: await signed({ addresses: [], devices: [], versions: [], zone: '', agent: '' }),
    announcement: {
      ...announcement,
      addresses: [],
      devices: [],
      versions: [],
      zone: '',
      agent: '',
    },
  },
  {
    name: '2049 bytes',
    bytes: new Uint8Array(2049),
    refused: 'ERR_LIMIT',
    message: 'gpu-swarm:capacity:1 record has 2049 bytes, expected at most 2048',
  },
  await refused('2048 bytes of nothing', new Uint8Array(2048), /not dag-cbor/),
  await refused('no bytes', new Uint8Array(0), /not dag-cbor/),
  await refused('half of it', valid.subarray(0, valid.byteLength >> 1), /not dag-cbor/),
  await refused('a changed payload', flipped(valid, 300), /signature that is not by/),
  await refused('a changed signature', flipped(valid, valid.byteLength - 1), /signature/),
  await refused(
    'a short signature',
    dagCbor.encode([NODE, dagCbor.encode(announcement), new Uint8Array(3)]),
    'gpu-swarm:capacity:1 record has a signature of 3 bytes, expected 64',
  ),
  await refused(
    'the signature of another domain',
    signEnvelope('gpu-swarm:release:1', dagCbor.encode(announcement), nodeKey),
    /signature/,
  ),
  await refused('a list of two', dagCbor.encode([NODE, new Uint8Array(1)]), /wrong form/),
  await refused(
    'a signer that is no peer id',
    dagCbor.encode(['somebody', new Uint8Array(1), new Uint8Array(64)]),
    /names a signer that is no peer id/,
  ),
  await refused(
    'a key of another kind',
    signEnvelope('gpu-swarm:capacity:1', new Uint8Array(1), otherKindOfKey),
    /no Ed25519 peer id/,
  ),
  await refused(
    'a signer in an unusual form',
    dagCbor.encode([
      peerIdFromPrivateKey(nodeKey).toCID().toString(),
      new Uint8Array(1),
      new Uint8Array(64),
    ]),
    `gpu-swarm:capacity:1 record names its signer ${NODE} in an unusual form`,
  ),
  await refused(
    'a payload that is no dag-cbor',
    signedBytes(Uint8Array.of(0xff)),
    'announcement has a payload that is not dag-cbor',
  ),
  await refused('a payload of nothing', signedBytes(new Uint8Array(0)), /not dag-cbor/),
  await refused('a payload that is a list', signedBytes(Uint8Array.of(0x80)), /expected object/),
  await refused(
    'another node than the signer',
    signed({}, strangerKey),
    `announcement of node '${NODE}' is signed by ${STRANGER}`,
  ),
  await refused(
    'a certificate for another node',
    signed({ ownerCertificate: await signOwnerCertificate(STRANGER, ownerKey) }),
    `announcement of node ${NODE} shows a certificate for node '${STRANGER}' by owner ${OWNER}`,
  ),
  await refused(
    'an owner who did not sign the certificate',
    signed({ owner: STRANGER }),
    `announcement of node ${NODE} shows a certificate for node '${NODE}' by owner ${OWNER}`,
  ),
  await refused(
    'a certificate with a changed signature',
    signed({ ownerCertificate: flipped(announcement.ownerCertificate, 130) }),
    /gpu-swarm:owner:1 record has a signature that is not by/,
  ),
  await refused(
    'a certificate that is garbage',
    signed({ ownerCertificate: new Uint8Array(10) }),
    /gpu-swarm:owner:1 record is not dag-cbor/,
  ),
  {
    name: 'a certificate of 513 bytes',
    bytes: await signed({ ownerCertificate: new Uint8Array(513), devices: [] }),
    refused: 'ERR_LIMIT',
    message: /gpu-swarm:owner:1 record has 513 bytes, expected at most 512/,
  },
  await refused('no node', signed({ node: undefined }), /^announcement field node: /),
  await refused('sequence 0', signed({ sequence: 0 }), /^announcement field sequence: /),
  await refused('a lease without end', signed({ leaseMs: 600_001 }), /field leaseMs: /),
  await refused('a state of its own', signed({ state: 'idle' }), /field state: /),
  await refused('a zone of 65 letters', signed({ zone: 'z'.repeat(65) }), /field zone: /),
  await refused(
    'nine addresses',
    signed({ addresses: Array.from({ length: 9 }, () => '/ip4/127.0.0.1') }),
    /field addresses: /,
  ),
  await refused(
    'an address that is none',
    signed({ addresses: ['http://node.example'] }),
    'announcement field addresses[0]: expected a multiaddr',
  ),
  await refused(
    'negative memory',
    signed({ memoryFreeBytes: -1 }),
    /^announcement field memoryFreeBytes: /,
  ),
  await refused('negative room', signed({ roomBytes: -1 }), /^announcement field roomBytes: /),
  await refused(
    'half a byte of disk',
    signed({ diskFreeBytes: 0.5 }),
    /^announcement field diskFreeBytes: /,
  ),
  await refused(
    'five versions',
    signed({ versions: Array.from({ length: 5 }, () => ({ ...VERSION, name: 'd' })), devices: [] }),
    /^announcement field versions: /,
  ),
  await refused(
    'a note of 101 characters',
    signed({ versions: [{ ...VERSION, note: 'n'.repeat(101) }] }),
    /^announcement field versions\[0\]\.note: /,
  ),
  await refused(
    'a time without an end',
    signed({ versions: [{ ...VERSION, etaMs: null }] }),
    /^announcement field versions\[0\]\.etaMs: /,
  ),
  await refused(
    'a GPU busy for 101 per cent',
    signed({ devices: [{ ...announcement.devices[0], busyPercent: 101 }] }),
    /^announcement field devices\[0\]\.busyPercent: /,
  ),
  await refused(
    'a load of half a request',
    signed({ versions: [{ ...VERSION, load: { ...VERSION.load, queued: 0.5 } }] }),
    /^announcement field versions\[0\]\.load\.queued: /,
  ),
];
