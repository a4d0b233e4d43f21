import { z } from 'zod';
import { ConfigError } from '../../protocols/errors.ts';
import type { SettingValue } from './setting-spec.ts';
import { SETTING_KEYS, type SettingKey, settingSpec } from './settings.ts';

/** The configuration file: settings by their names; one that is not known is an error. */
export const configFileSchema = z.strictObject(
  Object.fromEntries(SETTING_KEYS.map((key) => [key, settingSchema(key).optional()])),
);

/**
 * Reads a configuration file's text.
 *
 * @throws {ERR_CONFIG} when it is not a JSON object, or a key is unknown or has a wrong value; names file and key.
 */
export function readConfigFile(
  name: string,
  text: string,
): Partial<Record<SettingKey, SettingValue>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ConfigError(`${name} is not JSON: ${(cause as Error).message}`, { cause });
  }
  const parsed = configFileSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue?.code === 'unrecognized_keys') {
    throw new ConfigError(
      `${name} has unknown key ${issue.keys.map((key) => `'${key}'`).join(', ')}, known are: ${SETTING_KEYS.join(', ')}`,
    );
  }
  const where = issue?.path.join('.') || 'the file';
  throw new ConfigError(`${name}: ${where}: ${issue?.message ?? 'invalid'}`);
}

function settingSchema(key: SettingKey): z.ZodType {
  const { kind, choices, range, about } = settingSpec(key);
  const [low, high] = range ?? [0, Number.MAX_SAFE_INTEGER];
  switch (kind) {
    case 'text':
      return (choices === undefined ? z.string() : z.enum([...choices])).describe(about);
    case 'list':
      return z.array(z.string()).describe(about);
    case 'integer':
      return z.int().min(low).max(high).describe(about);
    case 'switch':
      return z.boolean().describe(about);
  }
}
