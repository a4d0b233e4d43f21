import { InvalidInputError, NotFoundError } from '../../protocols/errors.ts';
import { DEFAULT_CHANNEL } from '../../protocols/reference.ts';
import {
  moveChannels,
  type NextReleaseOptions,
  type ReleaseChannel,
  type ReleaseGuard,
  type ReleaseMove,
  type ReleaseRecord,
} from '../../protocols/release/index.ts';
import type { VersionCid } from '../../protocols/types.ts';

/** The partial channel that {@link startCanary} sets and {@link promoteCanary} takes away. */
export const CANARY_CHANNEL = 'canary';

export interface SetVersionOptions extends NextReleaseOptions {
  readonly channel: string;
  readonly cid: VersionCid;
  /** Share of requests, for a partial channel. @default all of the channel's own */
  readonly weight?: number | undefined;
  /** When clients give the version up by themselves. @default never */
  readonly guard?: ReleaseGuard | undefined;
}

export interface StartCanaryOptions extends NextReleaseOptions {
  readonly cid: VersionCid;
  readonly weight: number;
  readonly guard?: ReleaseGuard | undefined;
}

export interface RollBackOptions extends NextReleaseOptions {
  /** @default the version before the one that is released, by the record's history */
  readonly to?: VersionCid | undefined;
}

/** A channel points at a version; a guarded one remembers what it pointed at before. */
export function setVersion(
  previous: ReleaseRecord | undefined,
  options: SetVersionOptions,
): ReleaseRecord {
  const { channel, cid, weight, guard } = options;
  const target = guarded({ cid, ...(weight === undefined ? {} : { weight }) }, guard, [
    previous?.channels[channel],
    weight === undefined ? undefined : previous?.channels[DEFAULT_CHANNEL],
  ]);
  return moveChannels(previous, options, [[channel, target]]);
}

/**
 * A share of the requests for `stable` goes to another version.
 *
 * @throws {ERR_NOT_FOUND} when there is no `stable` to take them from.
 * @throws {ERR_INVALID_INPUT} when `stable` is that version already.
 */
export function startCanary(
  previous: ReleaseRecord | undefined,
  options: StartCanaryOptions,
): ReleaseRecord {
  const { cid, weight, guard } = options;
  const stable = channelOf(previous, options, DEFAULT_CHANNEL);
  if (stable.cid === cid) {
    throw new InvalidInputError(
      `version ${cid} is ${DEFAULT_CHANNEL} already, expected another for a canary`,
    );
  }
  return moveChannels(previous, options, [
    [CANARY_CHANNEL, guarded({ cid, weight }, guard, [stable])],
  ]);
}

/**
 * `stable` becomes the canary's version, with its guard, and the canary ends: one record, so that nobody sees half of it.
 *
 * @throws {ERR_NOT_FOUND} when there is no canary.
 */
export function promoteCanary(
  previous: ReleaseRecord | undefined,
  options: NextReleaseOptions,
): ReleaseRecord {
  const { cid, guard } = channelOf(previous, options, CANARY_CHANNEL);
  const stable = previous?.channels[DEFAULT_CHANNEL];
  return moveChannels(previous, options, [
    [DEFAULT_CHANNEL, guarded({ cid }, guard, [stable])],
    [CANARY_CHANNEL, null],
  ]);
}

/**
 * `stable` points at an earlier version again. No guard watches it: there is nothing to fall back to that was not given up.
 *
 * @throws {ERR_NOT_FOUND} when the history knows no earlier version. {ERR_INVALID_INPUT} when `to` is released already.
 */
export function rollBack(
  previous: ReleaseRecord | undefined,
  options: RollBackOptions,
): ReleaseRecord {
  const { cid } = channelOf(previous, options, DEFAULT_CHANNEL);
  const to = options.to ?? earlierVersion(previous, DEFAULT_CHANNEL);
  if (to === undefined) {
    throw new NotFoundError(
      `history of ${options.publisher}/${options.name} has no version before ${cid}, expected --to <cid>`,
    );
  }
  if (to === cid) {
    throw new InvalidInputError(`version ${to} is ${DEFAULT_CHANNEL} already`);
  }
  return moveChannels(previous, options, [[DEFAULT_CHANNEL, { cid: to }]]);
}

/** A channel ends. @throws {ERR_NOT_FOUND} when it is not there. */
export function endChannel(
  previous: ReleaseRecord | undefined,
  options: NextReleaseOptions & { readonly channel: string },
): ReleaseRecord {
  channelOf(previous, options, options.channel);
  return moveChannels(previous, options, [[options.channel, null]]);
}

/**
 * The version a channel pointed at before the one it points at now; undefined when the history does not reach so far.
 *
 * A rollback steps back each time: what was given up by an earlier one is never the earlier version.
 */
export function earlierVersion(
  record: ReleaseRecord | undefined,
  channel: string,
): VersionCid | undefined {
  const current = record?.channels[channel];
  if (record === undefined || current === undefined) return undefined;
  const moves = movesOf(record, channel);
  // From the first time it was released: after A, B, C and back to B, what came before is A.
  const first = moves.findIndex(({ cid }) => cid === current.cid);
  const before = moves.slice(0, Math.max(0, first)).findLast(({ cid }) => cid !== null)?.cid;
  return before ?? (first < 0 ? current.previous : undefined);
}

/** The moves of one channel, oldest first. */
export function movesOf(record: ReleaseRecord, channel: string): readonly ReleaseMove[] {
  return record.history.filter((move) => move.channel === channel);
}

/** A target with its guard and the version to compare with: the first candidate that is another. */
function guarded(
  target: ReleaseChannel,
  guard: ReleaseGuard | undefined,
  candidates: readonly (ReleaseChannel | undefined)[],
): ReleaseChannel {
  if (guard === undefined) return target;
  const previous = candidates.find((other) => other !== undefined && other.cid !== target.cid);
  return { ...target, guard, ...(previous === undefined ? {} : { previous: previous.cid }) };
}

function channelOf(
  record: ReleaseRecord | undefined,
  { publisher, name }: Pick<NextReleaseOptions, 'publisher' | 'name'>,
  channel: string,
): ReleaseChannel {
  if (record === undefined) {
    throw new NotFoundError(`model ${publisher}/${name} has no release record to move`);
  }
  const target = record.channels[channel];
  if (target !== undefined) return target;
  const channels = Object.keys(record.channels).join(', ') || 'none';
  throw new NotFoundError(
    `model ${publisher}/${name} has no channel '${channel.slice(0, 80)}', it has: ${channels}`,
  );
}
