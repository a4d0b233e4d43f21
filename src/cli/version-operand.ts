import { InvalidInputError } from '../../protocols/errors.ts';
import { parseVersionCid } from '../../protocols/reference.ts';
import type { VersionCid } from '../../protocols/types.ts';

/**
 * A version as the command line names it.
 *
 * @throws {ERR_INVALID_INPUT} when it is no CID.
 */
export function parseCid(value: string | boolean | undefined): VersionCid {
  const text = String(value);
  const cid = parseVersionCid(text);
  if (cid !== undefined) return cid;
  throw new InvalidInputError(
    `version ${JSON.stringify(text.slice(0, 80))} is not valid, expected a CID such as bafyrei…`,
  );
}
