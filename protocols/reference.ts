import { CID } from 'multiformats/cid';
import { InvalidInputError } from './errors.ts';
import type { PublisherId, VersionCid } from './types.ts';

/** What a reference names after the `@`: a channel of the release record, or one version for good. */
export type ModelSelector =
  | {
      readonly kind: 'channel';
      readonly channel: string;
      /** True when no channel was named: the canary then takes its share from `stable`. @default false */
      readonly split?: true;
    }
  | { readonly kind: 'version'; readonly cid: VersionCid };

/** A parsed `publisher/name[@channel|@cid]`. */
export interface ModelRef {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly selector: ModelSelector;
}

export const DEFAULT_CHANNEL = 'stable';

const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;
const PUBLISHER = /^[1-9A-HJ-NP-Za-km-z]{40,64}$/;

/** True for a model or channel name: 1 to 64 of `a-z 0-9 . _ -`, first and last a letter or digit. */
export function isName(value: string): boolean {
  return NAME.test(value);
}

/**
 * Checks a model or channel name.
 *
 * @throws {ERR_INVALID_INPUT} when it is not 1 to 64 lower-case letters, digits, '.', '_' or '-'.
 */
export function parseName(value: string, what: 'model' | 'channel'): string {
  if (!isName(value)) {
    throw new InvalidInputError(
      `${what} name ${JSON.stringify(value.slice(0, 80))} is not valid, expected 1 to 64 of a-z, 0-9, '.', '_', '-', beginning and ending with a letter or digit`,
    );
  }
  return value;
}

/** True for base58 text of a peer id's length. */
export function isPublisherId(value: string): boolean {
  return PUBLISHER.test(value);
}

/**
 * Checks the text form of a publisher id.
 *
 * @throws {ERR_INVALID_INPUT} when it is not base58 text of a peer id's length.
 */
export function parsePublisherId(value: string): PublisherId {
  if (!isPublisherId(value)) {
    throw new InvalidInputError(
      `publisher ${JSON.stringify(value.slice(0, 80))} is not valid, expected the base58 peer id of a publisher key such as 12D3KooW…`,
    );
  }
  return value as PublisherId;
}

/** The CID in a text, normalised to base32, or undefined when the text is not a CID. */
export function parseVersionCid(value: string): VersionCid | undefined {
  try {
    return CID.parse(value).toV1().toString() as VersionCid;
  } catch {
    // Not a CID: the caller takes the text for a channel name or refuses it in its own words.
    return undefined;
  }
}

/**
 * Parses `publisher/name[@channel|@cid]`; without `@` it is `stable`, less the share that a canary takes.
 *
 * @throws {ERR_INVALID_INPUT} when a part is missing or malformed.
 */
export function parseModelRef(text: string): ModelRef {
  const slash = text.indexOf('/');
  if (slash <= 0) {
    throw new InvalidInputError(
      `model reference ${JSON.stringify(text.slice(0, 160))} is not valid, expected publisher/name, publisher/name@channel or publisher/name@cid`,
    );
  }
  const publisher = parsePublisherId(text.slice(0, slash));
  const rest = text.slice(slash + 1);
  const at = rest.indexOf('@');
  const name = parseName(at < 0 ? rest : rest.slice(0, at), 'model');
  if (at < 0) {
    const selector = { kind: 'channel', channel: DEFAULT_CHANNEL, split: true } as const;
    return { publisher, name, selector };
  }
  const selected = rest.slice(at + 1);
  const cid = selected.length > 32 ? parseVersionCid(selected) : undefined;
  if (cid !== undefined) return { publisher, name, selector: { kind: 'version', cid } };
  return {
    publisher,
    name,
    selector: { kind: 'channel', channel: parseName(selected, 'channel') },
  };
}

/** The text of a reference; the inverse of {@link parseModelRef}. */
export function formatModelRef({ publisher, name, selector }: ModelRef): string {
  if (selector.kind === 'version') return `${publisher}/${name}@${selector.cid}`;
  return selector.split === true
    ? `${publisher}/${name}`
    : `${publisher}/${name}@${selector.channel}`;
}
