import { CID } from 'multiformats/cid';
import { z } from 'zod';
import { isBlockCid } from '../digest.ts';
import { parseVersionCid } from '../reference.ts';
import type { VersionCid } from '../types.ts';

/** A version on the wire: a link to its manifest. */
export const cidLink = z
  .custom<CID>(
    (value) => {
      const cid = CID.asCID(value);
      return cid !== null && isBlockCid(cid);
    },
    { message: 'expected a link to a manifest' },
  )
  .transform((cid) => cid.toString() as VersionCid);

/** The link for a version; what is no CID is left as it is, for the schema to refuse. */
export function toCidLink(cid: VersionCid): CID | string {
  return parseVersionCid(cid) === undefined ? cid : CID.parse(cid);
}
