import { CID } from 'multiformats/cid';
import { z } from 'zod';
import { isBlockCid } from './digest.ts';
import { isName, isPublisherId } from './reference.ts';
import type { PublisherId, VersionCid } from './types.ts';

/** Replicas that a version may be said to have or to lack: beyond it a typing error is likelier than a wish. */
export const MAX_REPLICAS = 10_000;

/** Execution providers that one list may name. */
export const MAX_PROVIDERS = 8;

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

/** The link for a CID's text; what is no CID is left as it is. */
export function toCidLink(text: string): CID | string {
  try {
    return CID.parse(text);
  } catch {
    // The schema refuses it, and names the field that is no link.
    return text;
  }
}

/** Whose model it is, or who may sign for him. */
export const publisherField = z
  .string()
  .refine(isPublisherId, { message: 'expected a base58 peer id' })
  .transform((text) => text as PublisherId);

export const modelNameField = z
  .string()
  .refine(isName, { message: 'expected the name of a model' });

/** An execution provider, by ONNX Runtime's name for it, be it one that this program does not know. */
export const providerField = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/);
