import { hash } from 'node:crypto';
import { CID } from 'multiformats/cid';
import { create } from 'multiformats/hashes/digest';
import { InvalidInputError } from './errors.ts';

/** Bytes of a sha256 digest. */
export const DIGEST_BYTES = 32;

const SHA256 = 0x12;
const DAG_CBOR = 0x71;

/** The CID of a dag-cbor block, in base32 text. */
export type BlockCid = string & { readonly __brand: 'BlockCid' | 'VersionCid' };

/** The sha256 digest of some bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha256', bytes, 'buffer'));
}

/** A digest as 64 hexadecimal digits: for map keys, file names and messages. */
export function digestText(digest: Uint8Array): string {
  return Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength).toString('hex');
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** The CIDv1 of the dag-cbor block with this sha256 digest. */
export function cidOfDigest(digest: Uint8Array): CID {
  return CID.createV1(DAG_CBOR, create(SHA256, digest));
}

/**
 * The sha256 digest inside a CID: what the block is asked for by.
 *
 * @throws {ERR_INVALID_INPUT} when the text is not a CIDv1 of a dag-cbor block by sha256.
 */
export function digestOfCid(text: string): Uint8Array {
  let cid: CID;
  try {
    cid = CID.parse(text);
  } catch (cause) {
    throw new InvalidInputError(`${JSON.stringify(text.slice(0, 120))} is not a CID`, { cause });
  }
  if (!isBlockCid(cid)) {
    throw new InvalidInputError(
      `CID ${text} is version ${cid.version}, codec 0x${cid.code.toString(16)}, hash 0x${cid.multihash.code.toString(16)}; expected version 1, dag-cbor, sha256`,
    );
  }
  return cid.multihash.digest;
}

/** True for a CIDv1 of a dag-cbor block by sha256, the only kind this network speaks of. */
export function isBlockCid(cid: CID): boolean {
  const { code, digest } = cid.multihash;
  return (
    cid.version === 1 &&
    cid.code === DAG_CBOR &&
    code === SHA256 &&
    digest.byteLength === DIGEST_BYTES
  );
}
