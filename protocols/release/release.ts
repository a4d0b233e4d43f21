import * as dagCbor from '@ipld/dag-cbor';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { openEnvelope, type SignatureDomain, signEnvelope } from '../codec/signed-envelope.ts';
import { InvalidRecordError, LimitError } from '../errors.ts';
import { isoTime } from '../iso-time.ts';
import { MAX_RELEASE_BYTES } from '../limits.ts';
import { toCidLink } from '../record-fields.ts';
import { describeSchemaIssue } from '../schema-issue.ts';
import { releaseSchema } from './release-schema.ts';
import { checkSigner } from './signer.ts';
import type { ReleaseChannel, ReleaseRecord } from './release-record.ts';
import type { ReleaseGuard } from './guard.ts';

const DOMAIN: SignatureDomain = 'gpu-swarm:release:1';

/** How far into the future `issuedAtMs` may lie: clocks of honest machines are off by an hour now and then. */
export const MAX_CLOCK_SKEW_MS = 2 * 3_600_000;

export interface DecodeReleaseOptions {
  /** Milliseconds since 1970 to judge validity by; null leaves validity unchecked. @default Date.now() */
  readonly nowMs?: number | null | undefined;
}

/**
 * Signs a record with the key of its publisher, or of the delegate whose certificate it carries.
 *
 * @throws {ERR_INVALID_RECORD} when a field is out of bounds or the key may not sign it.
 * @throws {ERR_LIMIT} when the signed record is larger than {@link MAX_RELEASE_BYTES}.
 */
export async function signRelease(
  record: ReleaseRecord,
  privateKey: PrivateKey,
): Promise<Uint8Array> {
  const checked = check(toWire(record));
  await checkSigner(checked, peerIdFromPrivateKey(privateKey).toString());
  const payload = dagCbor.encode(toWire(checked));
  const bytes = await signEnvelope(DOMAIN, payload, privateKey);
  if (bytes.byteLength > MAX_RELEASE_BYTES) {
    throw new LimitError(
      `release record has ${bytes.byteLength} bytes, expected at most ${MAX_RELEASE_BYTES}`,
    );
  }
  return bytes;
}

/**
 * Opens a signed record: size, then form, then key, then signature, then the payload, then who may sign, then validity.
 *
 * Keys of a later program are ignored; whoever passes a record on passes on the bytes.
 *
 * @throws {ERR_LIMIT} when it is larger than {@link MAX_RELEASE_BYTES}.
 * @throws {ERR_INVALID_RECORD} when it is malformed, not signed by its publisher or a delegate, expired, or from too far in the future.
 */
export async function decodeRelease(
  bytes: Uint8Array,
  options: DecodeReleaseOptions = {},
): Promise<ReleaseRecord> {
  const { signer, payload } = await openEnvelope(DOMAIN, bytes, MAX_RELEASE_BYTES);
  let value: unknown;
  try {
    value = dagCbor.decode(payload);
  } catch (cause) {
    throw new InvalidRecordError('release record has a payload that is not dag-cbor', { cause });
  }
  const record = check(value);
  await checkSigner(record, signer);
  const nowMs = options.nowMs === undefined ? Date.now() : options.nowMs;
  if (nowMs !== null) checkValidity(record, nowMs);
  return record;
}

function checkValidity(record: ReleaseRecord, nowMs: number): void {
  const what = `release record ${record.sequence} of ${record.publisher}/${record.name}`;
  if (nowMs >= record.expiresAtMs) {
    throw new InvalidRecordError(`${what} expired at ${isoTime(record.expiresAtMs)}`);
  }
  if (record.issuedAtMs > nowMs + MAX_CLOCK_SKEW_MS) {
    throw new InvalidRecordError(
      `${what} was issued at ${isoTime(record.issuedAtMs)}, more than ${MAX_CLOCK_SKEW_MS} ms ahead of this machine's clock`,
    );
  }
}

function check(value: unknown): ReleaseRecord {
  const parsed = releaseSchema.safeParse(value);
  if (!parsed.success) {
    throw new InvalidRecordError(`release record ${describeSchemaIssue(parsed.error)}`);
  }
  const channels: Record<string, ReleaseChannel> = Object.create(null);
  Object.assign(channels, parsed.data.channels);
  return { ...parsed.data, channels };
}

function toWire({ certificate, ...record }: ReleaseRecord): unknown {
  return {
    ...record,
    ...(certificate === undefined ? {} : { certificate }),
    channels: Object.fromEntries(
      Object.entries(record.channels).map(([name, channel]) => [name, channelToWire(channel)]),
    ),
    history: record.history.map((move) => ({
      ...move,
      cid: move.cid === null ? null : toCidLink(move.cid),
    })),
  };
}

/** dag-cbor knows no `undefined`: what is not said is absent. */
function channelToWire({ cid, weight, guard, previous }: ReleaseChannel): unknown {
  return {
    cid: toCidLink(cid),
    ...(weight === undefined ? {} : { weight }),
    ...(guard === undefined ? {} : { guard: withoutUndefined(guard) }),
    ...(previous === undefined ? {} : { previous: toCidLink(previous) }),
  };
}

function withoutUndefined(guard: ReleaseGuard): unknown {
  return Object.fromEntries(Object.entries(guard).filter(([, value]) => value !== undefined));
}
