import { InvalidRecordError } from '../errors.ts';
import { isoTime } from '../iso-time.ts';
import { openDelegation } from './delegation.ts';
import type { ReleaseRecord } from './release-record.ts';

/**
 * Checks that a key may sign a record: its publisher's, or that of a delegate whose certificate the record carries.
 *
 * No clock is asked: a certificate bounds the record's sequence and its expiry, and both are judged with the record's own.
 *
 * @throws {ERR_INVALID_RECORD} when it may not; {ERR_LIMIT} when the certificate is too large.
 */
export async function checkSigner(record: ReleaseRecord, signer: string): Promise<void> {
  const { publisher, name, certificate, sequence, expiresAtMs } = record;
  const what = `release record ${sequence} of ${publisher}/${name}`;
  if (signer === publisher) {
    if (certificate === undefined) return;
    throw new InvalidRecordError(`${what} is signed by its publisher, expected no certificate`);
  }
  if (certificate === undefined) {
    throw new InvalidRecordError(
      `${what} is signed by ${signer}, expected its publisher or a certificate of its publisher`,
    );
  }
  const delegation = await openDelegation(certificate);
  const same =
    delegation.publisher === publisher &&
    delegation.name === name &&
    delegation.delegate === signer;
  if (!same) {
    throw new InvalidRecordError(
      `${what}, signed by ${signer}, carries the certificate of ${delegation.publisher}/${delegation.name} for ${delegation.delegate}`,
    );
  }
  if (sequence > delegation.untilSequence) {
    throw new InvalidRecordError(
      `${what} is signed by ${signer}, whose certificate ends at sequence ${delegation.untilSequence}`,
    );
  }
  if (expiresAtMs > delegation.expiresAtMs) {
    throw new InvalidRecordError(
      `${what} is good until ${isoTime(expiresAtMs)}, longer than the certificate of ${signer}, which ends at ${isoTime(delegation.expiresAtMs)}`,
    );
  }
}
