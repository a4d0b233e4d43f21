import { MIN_RATE_BYTES } from '../../protocols/transfer/index.ts';
import { MIN_MEMORY_BYTES } from '../policy/memory-need.ts';
import type { CommandContext } from './command-context.ts';
import { parseBytes, type Range } from './quantity.ts';
import { settingSpec } from './settings.ts';

/** Bounds of each setting that is a number of bytes, or of bytes a second. */
const RANGES = {
  maxMemory: [MIN_MEMORY_BYTES, Number.MAX_SAFE_INTEGER],
  storeQuota: [0, Number.MAX_SAFE_INTEGER],
  uploadLimit: [MIN_RATE_BYTES, 2 ** 40],
  downloadLimit: [MIN_RATE_BYTES, 2 ** 40],
} as const satisfies Readonly<Record<string, Range>>;

/**
 * A setting such as `8MiB` in bytes; undefined when it is not set.
 *
 * @throws {ERR_CONFIG} naming the setting.
 */
export function byteSetting(
  { settings }: CommandContext,
  key: keyof typeof RANGES,
): number | undefined {
  const text = settings[key];
  const [flag = key] = settingSpec(key).flags.split(' ');
  return text === undefined ? undefined : parseBytes(text, flag, RANGES[key]);
}
