import { ConfigError } from '../../protocols/errors.ts';

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Bounds of a number, both included. */
export type Range = readonly [low: number, high: number];

/**
 * `90d`, `12h`, `30m`, `45s` or `500ms` in milliseconds.
 *
 * @throws {ERR_CONFIG} naming `where` it was written, when it is none or out of bounds.
 */
export function parseDuration(text: string, where: string, [low, high]: Range): number {
  const [, amount, unit = ''] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = Number(amount) * (UNITS_MS[unit] ?? Number.NaN);
  if (ms >= low && ms <= high) return ms;
  throw new ConfigError(
    `${where} is ${JSON.stringify(text.slice(0, 80))}, expected a duration such as 90d, 12h, 30m or 45s, from ${formatDuration(low)} to ${formatDuration(high)}`,
  );
}

/** The shortest text that {@link parseDuration} reads as this many milliseconds. */
export function formatDuration(ms: number): string {
  const fitting = Object.entries(UNITS_MS).filter(([, size]) => ms % size === 0);
  const [unit, size] = fitting.at(-1) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}

/**
 * A share, `5%` or `0.05`, as a number from 0 to 1.
 *
 * @throws {ERR_CONFIG} naming `where` it was written, when it is none or out of bounds.
 */
export function parseShare(text: string, where: string, [low, high]: Range = [0, 1]): number {
  const [, digits, percent] = /^(\d{1,3}(?:\.\d{1,9})?)(%?)$/.exec(text) ?? [];
  const share = percent === '%' ? Number(digits) / 100 : Number(digits);
  if (share >= low && share <= high) return share;
  throw new ConfigError(
    `${where} is ${JSON.stringify(text.slice(0, 80))}, expected a share such as 5% or 0.05, from ${low} to ${high}`,
  );
}

/**
 * A number such as `1.5`.
 *
 * @throws {ERR_CONFIG} naming `where` it was written, when it is none or out of bounds.
 */
export function parseNumber(text: string, where: string, [low, high]: Range): number {
  const number = /^\d{1,12}(?:\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
  if (number >= low && number <= high) return number;
  throw new ConfigError(
    `${where} is ${JSON.stringify(text.slice(0, 80))}, expected a number from ${low} to ${high}`,
  );
}

const UNITS_BYTES: Readonly<Record<string, number>> = {
  '': 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/**
 * `200GiB`, `1.5TiB`, `512MiB` or a number of bytes, as bytes.
 *
 * @throws {ERR_CONFIG} naming `where` it was written, when it is none or out of bounds.
 */
export function parseBytes(text: string, where: string, [low, high]: Range): number {
  const [, amount, unit = ''] = /^(\d{1,16}(?:\.\d{1,6})?) ?(KiB|MiB|GiB|TiB)?$/.exec(text) ?? [];
  const bytes = Math.round(Number(amount) * (UNITS_BYTES[unit] ?? Number.NaN));
  if (bytes >= low && bytes <= high) return bytes;
  throw new ConfigError(
    `${where} is ${JSON.stringify(text.slice(0, 80))}, expected bytes such as 200GiB, 512MiB or 65536, from ${low} to ${high}`,
  );
}
