import { InvalidInputError } from '../errors.ts';
import { parseName } from '../reference.ts';
import type { PublisherId, VersionCid } from '../types.ts';
import type { ReleaseChannel, ReleaseMove, ReleaseRecord } from './release.ts';
import { MAX_HISTORY } from './release-schema.ts';

/** How long a record is believed when its publisher does not say: a year, for publishers sleep long. */
export const DEFAULT_VALIDITY_MS = 365 * 24 * 3_600_000;

export interface ReleaseMoveOptions {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly channel: string;
  /** Milliseconds since 1970 by the publisher's clock. */
  readonly nowMs: number;
  /** How long the new record is believed. @default one year */
  readonly validityMs?: number | undefined;
}

export interface SetChannelOptions extends ReleaseMoveOptions {
  readonly cid: VersionCid;
  /** Share of requests for a partial channel, above 0 and at most 1. */
  readonly weight?: number | undefined;
}

/**
 * The record after `previous` in which a channel points at a version. A rollback is the same move to an older CID.
 *
 * @throws {ERR_INVALID_INPUT} when a name is malformed or `previous` is of another model.
 */
export function setChannel(
  previous: ReleaseRecord | undefined,
  options: SetChannelOptions,
): ReleaseRecord {
  const { cid, weight } = options;
  return move(previous, options, weight === undefined ? { cid } : { cid, weight });
}

/**
 * The record after `previous` without a channel.
 *
 * @throws {ERR_INVALID_INPUT} when there is no such channel.
 */
export function removeChannel(
  previous: ReleaseRecord | undefined,
  options: ReleaseMoveOptions,
): ReleaseRecord {
  if (previous?.channels[options.channel] === undefined) {
    throw new InvalidInputError(
      `model ${options.publisher}/${options.name} has no channel '${options.channel.slice(0, 80)}'`,
    );
  }
  return move(previous, options, undefined);
}

function move(
  previous: ReleaseRecord | undefined,
  options: ReleaseMoveOptions,
  target: ReleaseChannel | undefined,
): ReleaseRecord {
  const { publisher, nowMs, validityMs = DEFAULT_VALIDITY_MS } = options;
  const name = parseName(options.name, 'model');
  const channel = parseName(options.channel, 'channel');
  if (previous !== undefined && (previous.publisher !== publisher || previous.name !== name)) {
    throw new InvalidInputError(
      `previous record is of ${previous.publisher}/${previous.name}, expected ${publisher}/${name}`,
    );
  }
  const sequence = (previous?.sequence ?? 0) + 1;
  const channels: Record<string, ReleaseChannel> = Object.create(null);
  Object.assign(channels, previous?.channels);
  if (target === undefined) delete channels[channel];
  else channels[channel] = target;
  const moved: ReleaseMove = { sequence, channel, cid: target?.cid ?? null, atMs: nowMs };
  return {
    schema: 1,
    publisher,
    name,
    sequence,
    channels,
    history: [...(previous?.history ?? []), moved].slice(-MAX_HISTORY),
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + validityMs,
  };
}
