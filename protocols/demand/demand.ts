import * as dagCbor from '@ipld/dag-cbor';
import type { PrivateKey } from '@libp2p/interface';
import { z } from 'zod';
import {
  claimedSigner,
  openEnvelope,
  type SignatureDomain,
  signEnvelope,
} from '../codec/signed-envelope.ts';
import { InvalidRecordError, LimitError } from '../errors.ts';
import { MAX_DEMAND_BYTES } from '../limits.ts';
import { describeSchemaIssue } from '../schema-issue.ts';
import type { NodeId, VersionCid } from '../types.ts';
import { cidLink, toCidLink } from '../record-fields.ts';

const DOMAIN: SignatureDomain = 'gpu-swarm:demand:1';

/** Versions in one digest, all of one topic; who counted more sends further digests. */
export const MAX_DEMAND_VERSIONS = 12;

/** Milliseconds that a window may span, and that may pass until the next digest. */
export const MAX_DEMAND_WINDOW_MS = 3_600_000;

/** Rates are told in thousandths of a request a second: a version asked for every quarter of an hour still shows. */
const RATE_STEPS = 1_000;

/** A million requests a second: no version has as many at one peer. */
const MAX_RATE = 1_000_000 * RATE_STEPS;

/** Requests a second that were asked for in one window, by what became of them; a request is counted once. */
export interface DemandRates {
  /** Taken in: they ran, run or wait. */
  readonly arrivalsPerS: number;
  /** Refused for want of room. */
  readonly refusalsPerS: number;
  /** Asked for where no replica was ready. */
  readonly coldMissesPerS: number;
}

/** Requests a second that were asked for in all, whatever became of them. */
export function totalPerS({ arrivalsPerS, refusalsPerS, coldMissesPerS }: DemandRates): number {
  return arrivalsPerS + refusalsPerS + coldMissesPerS;
}

/** How much one version was asked for at one peer. */
export interface VersionDemand {
  readonly cid: VersionCid;
  /** Over the stable window: what scaling follows. */
  readonly stable: DemandRates;
  /** Over the panic window: a crowd shows here first. */
  readonly panic: DemandRates;
  /** Mean requests that ran or waited, over the panic window. */
  readonly inFlight: number;
  /** Mean milliseconds waited before a run, over the panic window. */
  readonly queueWaitMs: number;
  /** Mean milliseconds for which one request takes a slot; null before the first. */
  readonly serviceTimeMs: number | null;
}

/** What one node or full client was asked for lately. A node counts what reached it, a client only what reached no node. */
export interface DemandDigest {
  /** Who counted: the signer. */
  readonly reporter: NodeId;
  readonly role: 'node' | 'client';
  /** Strictly increasing per reporter and topic: milliseconds since 1970 at issue, moved on by one when that stood still. */
  readonly sequence: number;
  /** Milliseconds of the stable window. */
  readonly stableWindowMs: number;
  /** Milliseconds of the panic window. */
  readonly panicWindowMs: number;
  /** Milliseconds until the next digest is due; past it, what this one says fades as its windows would. */
  readonly intervalMs: number;
  readonly versions: readonly VersionDemand[];
}

const count = z.int().min(0).max(0xffff_ffff);
const rate = z.int().min(0).max(MAX_RATE);
const rates = z.tuple([rate, rate, rate]);
const windowMs = z.int().min(1).max(MAX_DEMAND_WINDOW_MS);

const demandSchema = z.object({
  role: z.enum(['node', 'client']),
  sequence: z.int().min(1),
  stableWindowMs: windowMs,
  panicWindowMs: windowMs,
  intervalMs: windowMs,
  versions: z
    .array(
      z.object({
        cid: cidLink,
        stable: rates,
        panic: rates,
        inFlight: rate,
        waitMs: count,
        serviceUs: count.nullable(),
      }),
    )
    .max(MAX_DEMAND_VERSIONS)
    .refine((versions) => new Set(versions.map(({ cid }) => cid)).size === versions.length, {
      message: 'expected each version once',
    }),
});

/**
 * Signs a digest with its reporter's key; `reporter` is the key's peer id and need not be given. What is larger than the wire
 * can say is told as the largest that it can.
 *
 * @throws {ERR_INVALID_RECORD} when a field is out of bounds; the message names it.
 * @throws {ERR_LIMIT} when the signed digest is larger than {@link MAX_DEMAND_BYTES}.
 */
export async function signDemand(
  digest: Omit<DemandDigest, 'reporter'>,
  key: PrivateKey,
): Promise<Uint8Array> {
  const { role, sequence, stableWindowMs, panicWindowMs, intervalMs } = digest;
  const wire = {
    ...{ role, sequence, stableWindowMs, panicWindowMs, intervalMs },
    versions: digest.versions.map((version) => ({
      cid: toCidLink(version.cid),
      stable: stepsOf(version.stable),
      panic: stepsOf(version.panic),
      inFlight: steps(version.inFlight, RATE_STEPS, MAX_RATE),
      waitMs: steps(version.queueWaitMs, 1, 0xffff_ffff),
      serviceUs:
        version.serviceTimeMs === null ? null : steps(version.serviceTimeMs, 1_000, 0xffff_ffff),
    })),
  };
  check(wire);
  const bytes = await signEnvelope(DOMAIN, dagCbor.encode(wire), key);
  if (bytes.byteLength > MAX_DEMAND_BYTES) {
    throw new LimitError(
      `demand digest has ${bytes.byteLength} bytes, expected at most ${MAX_DEMAND_BYTES}`,
    );
  }
  return bytes;
}

/**
 * Opens a signed digest: size, then form, then key, then signature, then the payload. Keys of a later program are ignored.
 *
 * @throws {ERR_LIMIT} when it is larger than {@link MAX_DEMAND_BYTES}.
 * @throws {ERR_INVALID_RECORD} when it is malformed or its signature does not match.
 */
export async function openDemand(bytes: Uint8Array): Promise<DemandDigest> {
  const { signer, payload } = await openEnvelope(DOMAIN, bytes, MAX_DEMAND_BYTES);
  let value: unknown;
  try {
    value = dagCbor.decode(payload);
  } catch (cause) {
    throw new InvalidRecordError('demand digest has a payload that is not dag-cbor', { cause });
  }
  const { versions, ...rest } = check(value);
  return {
    ...rest,
    reporter: signer as NodeId,
    versions: versions.map(({ cid, stable, panic, inFlight, waitMs, serviceUs }) => ({
      cid,
      stable: ratesOf(stable),
      panic: ratesOf(panic),
      inFlight: inFlight / RATE_STEPS,
      queueWaitMs: waitMs,
      serviceTimeMs: serviceUs === null ? null : serviceUs / 1_000,
    })),
  };
}

/**
 * Whose digest it says it is, before its signature is checked.
 *
 * @throws {ERR_LIMIT} when it is larger than {@link MAX_DEMAND_BYTES}.
 * @throws {ERR_INVALID_RECORD} when its envelope is malformed.
 */
export function claimedReporter(bytes: Uint8Array): NodeId {
  return claimedSigner(DOMAIN, bytes, MAX_DEMAND_BYTES) as NodeId;
}

function check(value: unknown): z.infer<typeof demandSchema> {
  const parsed = demandSchema.safeParse(value);
  if (!parsed.success) {
    throw new InvalidRecordError(`demand digest ${describeSchemaIssue(parsed.error)}`);
  }
  return parsed.data;
}

function stepsOf({ arrivalsPerS, refusalsPerS, coldMissesPerS }: DemandRates): number[] {
  return [arrivalsPerS, refusalsPerS, coldMissesPerS].map((perS) =>
    steps(perS, RATE_STEPS, MAX_RATE),
  );
}

function ratesOf([arrivals, refusals, coldMisses]: z.infer<typeof rates>): DemandRates {
  return {
    arrivalsPerS: arrivals / RATE_STEPS,
    refusalsPerS: refusals / RATE_STEPS,
    coldMissesPerS: coldMisses / RATE_STEPS,
  };
}

function steps(value: number, perUnit: number, most: number): number {
  return Math.min(most, Math.round(value * perUnit));
}
