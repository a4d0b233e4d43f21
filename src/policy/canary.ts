import type { ModelSelector } from '../../protocols/reference.ts';
import type { ReleaseChannel, ReleaseRecord } from '../../protocols/release/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { stableHash } from './stable-hash.ts';

/** The channel that takes its share of requests from {@link STABLE_CHANNEL}. */
export const CANARY_CHANNEL = 'canary';

export const STABLE_CHANNEL = 'stable';

/** Where a request goes. */
export interface RequestTarget {
  readonly cid: VersionCid;
  /** The channel that the request was given to. */
  readonly channel: string;
  /** True when a tripped guard sent it to the version before the channel's own. */
  readonly fellBack: boolean;
}

/** What decides beside the record. */
export interface TargetOptions {
  /** From 0 up to 1: {@link requestShare} of this request, the same for all its attempts. */
  readonly share: number;
  /** True when the channel's guard has tripped. */
  readonly isTripped: (channel: string) => boolean;
}

/**
 * Where a request stands among all requests of its model, from 0 up to 1. With a key always at the same place; without one,
 * at a random one. The model is part of it, so that no key is the first to meet every model's canary.
 */
export function requestShare(model: string, key: string | undefined, random: () => number): number {
  return key === undefined ? random() : stableHash(`${model}\0${key}`) / 2 ** 32;
}

/**
 * The version a request goes to; undefined when the record lacks the channel.
 *
 * A reference without `@` goes to the canary when its share lies below the canary's weight, else to `stable`: a higher weight
 * moves requests from `stable` to the canary and none back. A channel that is named is not split. A channel whose guard has
 * tripped is left for the version before it: `previous`, or, for the canary, what `stable` means now.
 */
export function selectTarget(
  { channels }: Pick<ReleaseRecord, 'channels'>,
  selector: ModelSelector & { readonly kind: 'channel' },
  options: TargetOptions,
): RequestTarget | undefined {
  const canary = channels[CANARY_CHANNEL];
  if (selector.split === true && canary !== undefined && options.share < (canary.weight ?? 0)) {
    return followGuard(channels, CANARY_CHANNEL, canary, options);
  }
  const target = channels[selector.channel];
  if (target === undefined) return undefined;
  return followGuard(channels, selector.channel, target, options);
}

/**
 * The version that a channel falls back to and is measured against; undefined when there is none. A canary gives its share
 * back to what `stable` means now, whatever that was when the canary began; any other partial channel that names none does so
 * too.
 */
export function previousVersion(
  channels: ReleaseRecord['channels'],
  channel: string,
): VersionCid | undefined {
  const target = channels[channel];
  const stable = channels[STABLE_CHANNEL]?.cid;
  const own = target?.previous ?? (target?.weight === undefined ? undefined : stable);
  const previous = channel === CANARY_CHANNEL ? (stable ?? own) : own;
  return previous === target?.cid ? undefined : previous;
}

function followGuard(
  channels: ReleaseRecord['channels'],
  channel: string,
  { cid, guard }: ReleaseChannel,
  { isTripped }: TargetOptions,
): RequestTarget {
  const kept = { cid, channel, fellBack: false };
  if (guard === undefined || !isTripped(channel)) return kept;
  const stable = channels[STABLE_CHANNEL];
  if (channel === CANARY_CHANNEL && stable !== undefined) {
    // It must not land on a version that `stable` itself has been turned away from.
    const instead = followGuard(channels, STABLE_CHANNEL, stable, { share: 1, isTripped });
    return { cid: instead.cid, channel, fellBack: true };
  }
  const previous = previousVersion(channels, channel);
  return previous === undefined ? kept : { cid: previous, channel, fellBack: true };
}
