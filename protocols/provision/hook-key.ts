import { createHmac, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import * as dagCbor from '@ipld/dag-cbor';
import { DIGEST_BYTES } from '../digest.ts';

/**
 * What a guess of a hook's text costs: 16 MiB and some 50 ms. Paths of programs are short, and groups are heard by everybody.
 *
 * @see RFC 7914, "The scrypt Password-Based Key Derivation Function", 2016, section 2
 */
const COST: ScryptOptions = { N: 2 ** 14, r: 8, p: 1 };

/** What all who have one hook in one network know, and nobody else. */
export interface HookKey {
  /** Names the hook without saying it: 32 bytes. */
  readonly group: Uint8Array;
  /** Makes the tags of the group's heartbeats: 32 bytes, told to nobody. */
  readonly secret: Uint8Array;
}

/** What a tag speaks for. */
interface Tagged {
  readonly reporter: string;
  readonly sequence: number;
  readonly leaving: boolean;
}

/** Derives a hook's key from its text, as it was given; it takes some 50 ms, off the event loop. */
export async function deriveHookKey(network: string, hook: string): Promise<HookKey> {
  const salt = `gpu-swarm:provision:1\0${network}`;
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    scrypt(hook, salt, 2 * DIGEST_BYTES, COST, (error, derived) =>
      error === null ? resolve(derived) : reject(error),
    );
  });
  return {
    group: new Uint8Array(bytes.subarray(0, DIGEST_BYTES)),
    secret: new Uint8Array(bytes.subarray(DIGEST_BYTES)),
  };
}

/** HMAC-SHA256 over dag-cbor `[reporter, sequence, leaving]`. */
export function tagOf(secret: Uint8Array, { reporter, sequence, leaving }: Tagged): Uint8Array {
  const said = dagCbor.encode([reporter, sequence, leaving]);
  return new Uint8Array(createHmac('sha256', secret).update(said).digest());
}

/** True when a tag was made by somebody who knows the hook. */
export function isTagOf(
  secret: Uint8Array,
  tagged: Tagged & { readonly tag: Uint8Array },
): boolean {
  const expected = tagOf(secret, tagged);
  return tagged.tag.byteLength === expected.byteLength && timingSafeEqual(tagged.tag, expected);
}
