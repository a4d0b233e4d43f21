import * as dagCbor from '@ipld/dag-cbor';
import type { PrivateKey } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { z } from 'zod';
import { openEnvelope, signEnvelope } from '../codec/signed-envelope.ts';
import { InvalidRecordError, LimitError } from '../errors.ts';
import { MAX_ANNOUNCEMENT_BYTES } from '../limits.ts';
import { quoted } from '../quoted.ts';
import { describeSchemaIssue } from '../schema-issue.ts';
import type { LoadReport, NodeId, OwnerId, PublisherId, VersionCid } from '../types.ts';
import { openOwnerCertificate } from './owner-certificate.ts';

const DOMAIN = 'gpu-swarm:capacity:1';

/** Versions in one announcement; what does not fit goes on a further page. @see announcementPages */
export const MAX_ANNOUNCED_VERSIONS = 4;

/** A device and the execution providers that really work on it. Unknown memory is null, never 0. */
export interface AnnouncedDevice {
  readonly kind: 'gpu' | 'cpu';
  readonly name: string;
  readonly memoryBytes: number | null;
  readonly providers: readonly string[];
  /** Bytes of it that nothing uses, by the driver's own count; absent when unknown. */
  readonly freeBytes?: number;
  /** Per cent of the last moment in which it computed, for whomever; absent when unknown. */
  readonly busyPercent?: number;
}

/**
 * `loading`: being fetched or started; `ready`: serves; `cold`: on the disk, and loaded as soon as a request asks for it;
 * `quarantined`: on the disk, and not loaded for now because it failed here; `gone`: was served and is no longer.
 */
export type ReplicaState = 'loading' | 'ready' | 'cold' | 'quarantined' | 'gone';

/** What a node says of one version it holds. */
export interface AnnouncedVersion {
  readonly cid: VersionCid;
  readonly publisher: PublisherId;
  readonly name: string;
  readonly state: ReplicaState;
  readonly load: LoadReport;
  /** Estimated milliseconds until it is READY: of a `loading` one the rest, of a `cold` one from when it is asked for; absent when unknown. */
  readonly etaMs?: number;
  /** Why it stands as it does, such as the reason of a quarantine or of a fallback to another execution provider. */
  readonly note?: string;
}

/** What a node tells the swarm of itself, about every ten seconds and on change. */
export interface Announcement {
  readonly node: NodeId;
  /** Strictly increasing per node, over restarts too: milliseconds since 1970 at issue, moved on by one when that stood still. */
  readonly sequence: number;
  /** Milliseconds from receipt for which this holds; three announcement intervals. */
  readonly leaseMs: number;
  /** Multiaddrs to dial, without the peer id. */
  readonly addresses: readonly string[];
  readonly owner: OwnerId;
  /** Signed statement by `owner` that this node is theirs. */
  readonly ownerCertificate: Uint8Array;
  /** Where the node is, in the owner's words: a region, a building; '' when not told. */
  readonly zone: string;
  /** What else the owner says of it, for callers to ask for, such as `ecc` or `gdpr`; absent when nothing. */
  readonly tags?: readonly string[];
  /** `draining` and `paused` nodes finish what they have and take no more; a paused one stays, and comes back. */
  readonly state: 'serving' | 'draining' | 'paused';
  /** True while it takes no further versions, by its operator's word, and serves those it has. */
  readonly cordoned?: boolean;
  /** True while it serves what it has until others do, and is gone then: what it has counts no more. */
  readonly leaving?: boolean;
  /** What an hour of it costs, in whatever its owner counts in; absent when untold. */
  readonly costPerHour?: number;
  readonly devices: readonly AnnouncedDevice[];
  readonly memoryTotalBytes: number;
  readonly memoryFreeBytes: number;
  /** Bytes of memory that a further version may have, those included that idle ones would leave for it; absent when unknown. */
  readonly roomBytes?: number;
  /** Bytes of disk that further weights may take; absent when unknown. */
  readonly diskFreeBytes?: number;
  /** Software and version, such as `gpu-swarm/0.1.0`. */
  readonly agent: string;
  /** At most `MAX_ANNOUNCED_VERSIONS`: a node with more sends further announcements. */
  readonly versions: readonly AnnouncedVersion[];
}

/** Multiaddrs in one announcement, and UTF-16 units of each. */
export const MAX_ADDRESSES = 8;
export const MAX_ADDRESS_LENGTH = 256;

/** Devices in one announcement, and what is said of each. */
export const MAX_DEVICES = 16;
export const MAX_DEVICE_NAME_LENGTH = 128;
export const MAX_DEVICE_PROVIDERS = 8;

/** What an hour of a node may cost: in watts, a hall of machines. */
export const MAX_COST_PER_HOUR = 1_000_000;

/** Tags of a node: with eight of 32 bytes a page still has room for addresses, devices and versions. */
export const MAX_TAGS = 8;

/** A tag: typed in shells and configuration files, and compared byte for byte. */
export const TAG = /^[a-z0-9][a-z0-9._-]{0,31}$/;

/** UTF-16 units of what is said of a version's state. */
export const MAX_VERSION_NOTE_LENGTH = 100;

const count = z.int().min(0);
const peerId = z.string().max(128);
const address = z.string().max(MAX_ADDRESS_LENGTH).refine(isMultiaddrText, {
  message: 'expected a multiaddr',
});

const versionSchema = z.object({
  cid: z.string().min(32).max(128),
  publisher: z.string().min(32).max(128),
  name: z.string().min(1).max(64),
  state: z.enum(['loading', 'ready', 'cold', 'quarantined', 'gone']),
  load: z.object({
    inFlight: count,
    queued: count,
    slots: count,
    serviceMs: z.number().min(0).nullable(),
  }),
  etaMs: count.optional(),
  note: z.string().max(MAX_VERSION_NOTE_LENGTH).optional(),
});

const announcementSchema = z.object({
  node: peerId,
  sequence: z.int().min(1),
  leaseMs: z.int().min(1).max(600_000),
  addresses: z.array(address).max(MAX_ADDRESSES),
  owner: peerId,
  ownerCertificate: z.instanceof(Uint8Array),
  zone: z.string().max(64),
  tags: z.array(z.string().regex(TAG)).max(MAX_TAGS).optional(),
  state: z.enum(['serving', 'draining', 'paused']),
  cordoned: z.boolean().optional(),
  leaving: z.boolean().optional(),
  costPerHour: z.number().min(0).max(MAX_COST_PER_HOUR).optional(),
  devices: z
    .array(
      z.object({
        kind: z.enum(['gpu', 'cpu']),
        name: z.string().max(MAX_DEVICE_NAME_LENGTH),
        memoryBytes: count.nullable(),
        providers: z.array(z.string().max(32)).max(MAX_DEVICE_PROVIDERS),
        freeBytes: count.optional(),
        busyPercent: count.max(100).optional(),
      }),
    )
    .max(MAX_DEVICES),
  memoryTotalBytes: count,
  memoryFreeBytes: count,
  roomBytes: count.optional(),
  diskFreeBytes: count.optional(),
  agent: z.string().max(64),
  versions: z.array(versionSchema).max(MAX_ANNOUNCED_VERSIONS),
});

/**
 * Signs an announcement with the node's own key. It is checked as a receiver would: what others refuse costs its sender's
 * score.
 *
 * @throws {ERR_INVALID_RECORD} when a field is out of bounds; the message names it.
 * @throws {ERR_LIMIT} when the signed announcement is larger than {@link MAX_ANNOUNCEMENT_BYTES}.
 */
export async function signAnnouncement(
  announcement: Announcement,
  key: PrivateKey,
): Promise<Uint8Array> {
  const bytes = await signEnvelope(DOMAIN, dagCbor.encode(check(announcement)), key);
  if (bytes.byteLength > MAX_ANNOUNCEMENT_BYTES) {
    throw new LimitError(
      `announcement has ${bytes.byteLength} bytes, expected at most ${MAX_ANNOUNCEMENT_BYTES}`,
    );
  }
  return bytes;
}

/**
 * Reads an announcement: size, form, the node's signature, then its owner's.
 *
 * @throws {ERR_LIMIT | ERR_INVALID_RECORD} when any of them is wrong.
 */
export async function openAnnouncement(bytes: Uint8Array): Promise<Announcement> {
  const { signer, payload } = await openEnvelope(DOMAIN, bytes, MAX_ANNOUNCEMENT_BYTES);
  let value: unknown;
  try {
    value = dagCbor.decode(payload);
  } catch (cause) {
    throw new InvalidRecordError('announcement has a payload that is not dag-cbor', { cause });
  }
  const announcement = check(value);
  if (announcement.node !== signer) {
    throw new InvalidRecordError(
      `announcement of node ${quoted(announcement.node)} is signed by ${signer}`,
    );
  }
  const certificate = await openOwnerCertificate(announcement.ownerCertificate);
  if (certificate.owner !== announcement.owner || certificate.node !== announcement.node) {
    throw new InvalidRecordError(
      `announcement of node ${announcement.node} shows a certificate for node ${quoted(certificate.node)} by owner ${certificate.owner}`,
    );
  }
  return announcement;
}

function check(value: unknown): Announcement {
  const parsed = announcementSchema.safeParse(value);
  if (!parsed.success) {
    throw new InvalidRecordError(`announcement ${describeSchemaIssue(parsed.error)}`);
  }
  // The ids are believed for their signatures, not for their form.
  return parsed.data as unknown as Announcement;
}

function isMultiaddrText(text: string): boolean {
  try {
    multiaddr(text);
    return true;
  } catch {
    // What is no multiaddr would make whoever dials the node stumble.
    return false;
  }
}
