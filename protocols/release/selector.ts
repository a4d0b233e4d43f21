import { sha256 } from '../digest.ts';
import { decodeRelease } from './release.ts';
import { compareReleases } from './validator.ts';

/**
 * Index of the record that supersedes the others: the highest sequence, and of equals the lowest sha256. kad-dht's
 * `SelectFn`. Records that do not decode lose to any that does; with none, index 0.
 */
export async function selectRelease(
  _key: Uint8Array,
  records: readonly Uint8Array[],
): Promise<number> {
  let best: { index: number; sequence: number; hash: Uint8Array } | undefined;
  for (const [index, bytes] of records.entries()) {
    const sequence = await sequenceOf(bytes);
    if (sequence === undefined) continue;
    const found = { index, sequence, hash: sha256(bytes) };
    if (best === undefined || compareReleases(found, best) > 0) best = found;
  }
  return best?.index ?? 0;
}

async function sequenceOf(bytes: Uint8Array): Promise<number | undefined> {
  try {
    // Validity is the validator's business: the order of records must not depend on whose clock asks.
    return (await decodeRelease(bytes, { nowMs: null })).sequence;
  } catch {
    // The validator says why; here it only must not win.
    return undefined;
  }
}
