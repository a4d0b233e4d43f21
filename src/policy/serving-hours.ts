import { ConfigError } from '../../protocols/errors.ts';

const DAY_MINUTES = 24 * 60;

/** When in a day a node serves, in minutes since midnight; a `from` behind `to` means over midnight. */
export interface ServingHours {
  readonly fromMinute: number;
  /** The first minute in which it does not. */
  readonly toMinute: number;
}

/**
 * Reads `22:00-07:00` or `22-7`.
 *
 * @throws {ERR_CONFIG} when it is no such span, or one of no length.
 */
export function parseServingHours(text: string): ServingHours {
  const [, from, fromRest, to, toRest] =
    /^(\d{1,2})(?::(\d{2}))?-(\d{1,2})(?::(\d{2}))?$/.exec(text.trim()) ?? [];
  const fromMinute = minuteOf(from, fromRest);
  const toMinute = minuteOf(to, toRest);
  const known = fromMinute <= DAY_MINUTES && toMinute <= DAY_MINUTES;
  if (known && fromMinute % DAY_MINUTES !== toMinute % DAY_MINUTES) return { fromMinute, toMinute };
  throw new ConfigError(
    `serving hours are ${JSON.stringify(text.slice(0, 40))}, expected two times of day such as 22:00-07:00`,
  );
}

/** Not a number when it is no time of day. */
function minuteOf(hours: string | undefined, minutes = '0'): number {
  const minute = Number(minutes);
  return minute < 60 ? Number(hours) * 60 + minute : Number.NaN;
}

/** Whether a node serves in a minute of the day, 0 to 1439. */
export function isServing({ fromMinute, toMinute }: ServingHours, minuteOfDay: number): boolean {
  return fromMinute < toMinute
    ? fromMinute <= minuteOfDay && minuteOfDay < toMinute
    : minuteOfDay >= fromMinute || minuteOfDay < toMinute;
}
