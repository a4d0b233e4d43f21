import { InvalidInputError } from '../../protocols/errors.ts';
import { quoted } from '../../protocols/quoted.ts';
import { parseVersionCid } from '../../protocols/reference.ts';
import type { VersionCid } from '../../protocols/types.ts';

/** The version that a control request names. @throws {ERR_INVALID_INPUT} when it names none. */
export function parseVersion(argument: string | undefined): VersionCid {
  const cid = parseVersionCid(argument ?? '');
  if (cid !== undefined) return cid;
  throw new InvalidInputError(`version is ${quoted(argument ?? '')}, expected a CID, bafyrei…`);
}
