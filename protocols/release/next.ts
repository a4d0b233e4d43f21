import { InvalidInputError } from '../errors.ts';
import { parseName } from '../reference.ts';
import type { PublisherId, VersionCid } from '../types.ts';
import type { ReleaseChannel, ReleaseMove, ReleaseRecord } from './release-record.ts';
import { MAX_HISTORY } from './release-schema.ts';

/** How long a record is believed when its publisher does not say: a year, for publishers sleep long. */
export const DEFAULT_VALIDITY_MS = 365 * 24 * 3_600_000;

/** What every new record says besides where its channels point. */
export interface NextReleaseOptions {
  readonly publisher: PublisherId;
  readonly name: string;
  /** Milliseconds since 1970 by the publisher's clock. */
  readonly nowMs: number;
  /** How long the new record is believed. @default one year */
  readonly validityMs?: number | undefined;
  /** Sequence of the new record, above the previous one's. @default the next */
  readonly sequence?: number | undefined;
}

export interface ReleaseMoveOptions extends NextReleaseOptions {
  readonly channel: string;
}

export interface SetChannelOptions extends ReleaseMoveOptions {
  readonly cid: VersionCid;
  /** Share of requests for a partial channel, above 0 and at most 1. */
  readonly weight?: number | undefined;
}

/** Where channels point from now on; null takes one away. In the order in which the history tells them. */
export type ChannelChanges = readonly (readonly [channel: string, target: ReleaseChannel | null])[];

/**
 * The record after `previous` in which a channel points at a version. A rollback is the same move to an older CID.
 *
 * @throws {ERR_INVALID_INPUT} when a name is malformed or `previous` is of another model.
 */
export function setChannel(
  previous: ReleaseRecord | undefined,
  options: SetChannelOptions,
): ReleaseRecord {
  const { channel, cid, weight } = options;
  const target = weight === undefined ? { cid } : { cid, weight };
  return moveChannels(previous, options, [[channel, target]]);
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
  return moveChannels(previous, options, [[options.channel, null]]);
}

/**
 * The record after `previous` with these changes, all of one sequence; without any it only lasts longer.
 *
 * @throws {ERR_INVALID_INPUT} when a name is malformed, `previous` is of another model, or the sequence would not rise.
 */
export function moveChannels(
  previous: ReleaseRecord | undefined,
  options: NextReleaseOptions,
  changes: ChannelChanges,
): ReleaseRecord {
  const { publisher, nowMs, validityMs = DEFAULT_VALIDITY_MS } = options;
  const name = parseName(options.name, 'model');
  if (previous !== undefined && (previous.publisher !== publisher || previous.name !== name)) {
    throw new InvalidInputError(
      `previous record is of ${previous.publisher}/${previous.name}, expected ${publisher}/${name}`,
    );
  }
  const last = previous?.sequence ?? 0;
  const { sequence = last + 1 } = options;
  if (sequence <= last) {
    throw new InvalidInputError(
      `next record of ${publisher}/${name} is to have sequence ${sequence}, expected more than ${last}`,
    );
  }
  const channels: Record<string, ReleaseChannel> = Object.create(null);
  Object.assign(channels, previous?.channels);
  const moves: ReleaseMove[] = [];
  for (const [text, target] of changes) {
    const channel = parseName(text, 'channel');
    if (target === null) delete channels[channel];
    else channels[channel] = target;
    moves.push({ sequence, channel, cid: target?.cid ?? null, atMs: nowMs });
  }
  return {
    schema: 1,
    publisher,
    name,
    sequence,
    channels,
    history: [...(previous?.history ?? []), ...moves].slice(-MAX_HISTORY),
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + validityMs,
  };
}
