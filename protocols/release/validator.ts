import { digestText, sha256 } from '../digest.ts';
import { InvalidRecordError } from '../errors.ts';
import { decodeRelease } from './release.ts';
import type { ReleaseRecord } from './release-record.ts';
import { parseReleaseKey } from './release-key.ts';
import type { SeenRelease, SequenceStore } from './sequence-store.ts';

export interface ReleaseValidatorInit {
  readonly sequences: SequenceStore;
  /** Milliseconds since 1970. @default Date.now */
  readonly now?: (() => number) | undefined;
}

/** Decides whether a value may stand under a DHT key; rejects when not. kad-dht's `ValidateFn`. */
export type ReleaseValidator = (key: Uint8Array, value: Uint8Array) => Promise<void>;

/**
 * A validator that also remembers the highest sequence it saw per model and refuses anything lower: kad-dht 16 lets a
 * valid older record overwrite a newer one (js-libp2p #3377). Of two records with one sequence the lower sha256 wins.
 *
 * @throws {ERR_LIMIT | ERR_INVALID_RECORD} from the validator, as {@link decodeRelease} does, or when the record is of
 * another model than the key, or older than one seen before.
 */
export function createReleaseValidator(init: ReleaseValidatorInit): ReleaseValidator {
  const { sequences, now = Date.now } = init;
  // Read, compare and write must be one step per model, or two records at once would both pass.
  const last = new Map<string, Promise<void>>();

  return async (key, value) => {
    const { publisher, name } = parseReleaseKey(key);
    const record = await decodeRelease(value, { nowMs: now() });
    if (record.publisher !== publisher || record.name !== name) {
      throw new InvalidRecordError(
        `release record of ${record.publisher}/${record.name} stands under the key of ${publisher}/${name}`,
      );
    }
    const model = `${publisher}/${name}`;
    const before = last.get(model) ?? Promise.resolve();
    const step = before.then(() => remember(sequences, model, record, sha256(value)));
    // The next in line waits for this step, whatever comes of it.
    const settled = step.catch(() => undefined);
    last.set(model, settled);
    try {
      await step;
    } finally {
      if (last.get(model) === settled) last.delete(model);
    }
  };
}

async function remember(
  sequences: SequenceStore,
  model: string,
  record: ReleaseRecord,
  hash: Uint8Array,
): Promise<void> {
  const found: SeenRelease = {
    sequence: record.sequence,
    hash,
    expiresAtMs: record.expiresAtMs,
  };
  const seen = await sequences.get(model);
  const order = seen === undefined ? 1 : compareReleases(found, seen);
  if (order > 0) await sequences.put(model, found);
  if (order >= 0 || seen === undefined) return;
  throw new InvalidRecordError(
    seen.sequence === found.sequence
      ? `release record ${found.sequence} of ${model} has hash ${digestText(hash)}, but another of that sequence with a lower hash was seen`
      : `release record of ${model} has sequence ${found.sequence}, but ${seen.sequence} was seen`,
  );
}

/** Above zero when `a` supersedes `b`, zero when they are the same record. */
export function compareReleases(
  a: Pick<SeenRelease, 'sequence' | 'hash'>,
  b: Pick<SeenRelease, 'sequence' | 'hash'>,
): number {
  if (a.sequence !== b.sequence) return a.sequence - b.sequence;
  return Buffer.compare(b.hash, a.hash);
}
