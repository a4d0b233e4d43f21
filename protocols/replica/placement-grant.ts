import * as dagCbor from '@ipld/dag-cbor';
import type { PrivateKey } from '@libp2p/interface';
import { z } from 'zod';
import { openEnvelope, type SignatureDomain, signEnvelope } from '../codec/signed-envelope.ts';
import { InvalidRecordError } from '../errors.ts';
import { isoTime } from '../iso-time.ts';
import { type Delegation, openDelegation } from '../release/index.ts';
import { modelNameField } from '../record-fields.ts';
import { parsePublisherId, parseVersionCid } from '../reference.ts';
import { describeSchemaIssue } from '../schema-issue.ts';
import type { PublisherId, VersionCid } from '../types.ts';

const DOMAIN: SignatureDomain = 'gpu-swarm:placement:1';

/** Bytes of a signed grant; one has some 250, with a certificate 600. */
export const MAX_GRANT_BYTES = 1024;

/** How long a grant is good for: as long as the largest model needs to travel. */
export const GRANT_VALIDITY_MS = 24 * 3_600_000;

/** How far a publisher's clock may be ahead: as for release records. */
const MAX_CLOCK_SKEW_MS = 2 * 3_600_000;

/**
 * "Nodes may hold this version under this name": a publisher's word for nodes alone. It releases nothing: which version is
 * live only the release record says, and that is signed when enough replicas are READY.
 */
export interface PlacementGrant {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly cid: VersionCid;
  /** Milliseconds since 1970 by the publisher's clock. */
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  /** By which the publisher lets the signer act for it; absent when it signed itself. */
  readonly delegation?: Delegation | undefined;
}

/** What a grant is made of. */
export interface GrantedVersion extends Pick<PlacementGrant, 'name' | 'cid'> {
  /** The publisher's signed {@link Delegation} to the key that signs. @default the key is the publisher's */
  readonly certificate?: Uint8Array | undefined;
}

const time = z.int().min(0);

const grantSchema = z.object({
  name: modelNameField,
  cid: z
    .string()
    .max(128)
    .refine((text) => parseVersionCid(text) === text, { message: 'expected a CID in base32' })
    .transform((text) => text as VersionCid),
  issuedAtMs: time,
  expiresAtMs: time,
  certificate: z.instanceof(Uint8Array).optional(),
});

/** Signs a grant that is good for {@link GRANT_VALIDITY_MS} from `nowMs`. */
export async function signPlacementGrant(
  version: GrantedVersion,
  key: PrivateKey,
  nowMs: number,
): Promise<Uint8Array> {
  const { name, cid, certificate } = version;
  const grant = {
    name,
    cid,
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + GRANT_VALIDITY_MS,
    ...(certificate === undefined ? {} : { certificate }),
  };
  return signEnvelope(DOMAIN, dagCbor.encode(grant), key);
}

/**
 * Opens a signed grant: size, form, signature, payload, validity, delegation. Its publisher is whoever signed it, or
 * delegated to who did.
 *
 * @throws {ERR_LIMIT | ERR_INVALID_RECORD} when it is not what it claims, expired, or from too far in the future.
 */
export async function openPlacementGrant(
  bytes: Uint8Array,
  nowMs: number = Date.now(),
): Promise<PlacementGrant> {
  const { signer, payload } = await openEnvelope(DOMAIN, bytes, MAX_GRANT_BYTES);
  let value: unknown;
  try {
    value = dagCbor.decode(payload);
  } catch (cause) {
    throw new InvalidRecordError('placement grant has a payload that is not dag-cbor', { cause });
  }
  const parsed = grantSchema.safeParse(value);
  if (!parsed.success) {
    throw new InvalidRecordError(`placement grant ${describeSchemaIssue(parsed.error)}`);
  }
  const { issuedAtMs, expiresAtMs } = parsed.data;
  if (nowMs >= expiresAtMs || issuedAtMs > nowMs + MAX_CLOCK_SKEW_MS) {
    throw new InvalidRecordError(
      `placement grant of ${signer} is good from ${isoTime(issuedAtMs)} to ${isoTime(expiresAtMs)}, the clock here says ${isoTime(nowMs)}`,
    );
  }
  const { certificate, ...grant } = parsed.data;
  if (certificate === undefined) return { ...grant, publisher: parsePublisherId(signer) };
  const delegation = await openDelegation(certificate);
  const { publisher, name, delegate } = delegation;
  if (delegate !== signer || name !== grant.name || nowMs >= delegation.expiresAtMs) {
    throw new InvalidRecordError(
      `placement grant of ${signer} for '${grant.name}' carries the certificate of ${publisher}/${name} for ${delegate} until ${isoTime(delegation.expiresAtMs)}, the clock here says ${isoTime(nowMs)}`,
    );
  }
  return { ...grant, publisher, delegation };
}
