import * as dagCbor from '@ipld/dag-cbor';
import { z } from 'zod';
import { InvalidRecordError, LimitError } from '../errors.ts';
import { MAX_DEATH_REPORT_BYTES } from '../limits.ts';
import { describeSchemaIssue } from '../schema-issue.ts';
import type { NodeId } from '../types.ts';

/** What a report begins with: the announcements on the same topics begin with the id of their signer. */
const REPORT_KIND = 'death';

/** A list of three, the first a text of five letters. */
const HEAD = Uint8Array.of(0x83, 0x65, ...new TextEncoder().encode(REPORT_KIND));

/**
 * Says that a node was not found where it announced itself to be. Nobody signs it, for nobody believes it: whoever hears it looks
 * for the node itself, and passes on only what it found to be so.
 */
export interface DeathReport {
  readonly node: NodeId;
  /** Drawn by the reporter, so that gossip does not take a second report for the first. */
  readonly salt: number;
}

const reportSchema = z.tuple([
  z.literal(REPORT_KIND),
  z.string().min(1).max(128),
  z.int().min(0).max(0xffff_ffff),
]);

/** True when the bytes begin as a report does, and not as an announcement. */
export function isDeathReport(bytes: Uint8Array): boolean {
  return HEAD.every((byte, index) => bytes[index] === byte);
}

export function encodeDeathReport({ node, salt }: DeathReport): Uint8Array {
  return dagCbor.encode([REPORT_KIND, node, salt]);
}

/** @throws {ERR_LIMIT | ERR_INVALID_RECORD} when it is too long or not a report. */
export function decodeDeathReport(bytes: Uint8Array): DeathReport {
  if (bytes.byteLength > MAX_DEATH_REPORT_BYTES) {
    throw new LimitError(
      `death report has ${bytes.byteLength} bytes, expected at most ${MAX_DEATH_REPORT_BYTES}`,
    );
  }
  let value: unknown;
  try {
    value = dagCbor.decode(bytes);
  } catch (cause) {
    throw new InvalidRecordError('death report is not dag-cbor', { cause });
  }
  const parsed = reportSchema.safeParse(value);
  if (!parsed.success) {
    throw new InvalidRecordError(`death report ${describeSchemaIssue(parsed.error)}`);
  }
  const [, node, salt] = parsed.data;
  // Only a node that is known under this very id is looked for.
  return { node: node as NodeId, salt };
}
