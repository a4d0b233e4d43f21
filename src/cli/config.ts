import { ConfigError } from '../../protocols/errors.ts';
import type { SettingValue } from './setting-spec.ts';
import { SETTING_KEYS, type SettingKey, type Settings, settingSpec } from './settings.ts';

/** Where a setting's value came from. */
export type SettingSource = 'flag' | 'environment' | 'file' | 'default' | 'unset';

export interface ResolvedSettings {
  readonly settings: Settings;
  readonly sources: Readonly<Record<SettingKey, SettingSource>>;
}

export interface ConfigSources {
  /** As the command line gave them: text, a list of texts, or true and false for a switch. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Text of the configuration file and the name to call it by. */
  readonly file?: { readonly name: string; readonly text: string } | undefined;
}

/**
 * Settles every setting: flag over environment over file over default.
 *
 * @throws {ERR_CONFIG} naming the setting, where it came from, what was expected and what was found.
 */
export async function resolveSettings(sources: ConfigSources): Promise<ResolvedSettings> {
  const file = sources.file === undefined ? {} : await parseConfigFile(sources.file);
  const values: Partial<Record<SettingKey, SettingValue>> = {};
  const origin: Partial<Record<SettingKey, SettingSource>> = {};
  for (const key of SETTING_KEYS) {
    const [value, source] = settle(key, sources, file);
    if (value !== undefined) values[key] = value;
    origin[key] = source;
  }
  return {
    settings: values as unknown as Settings,
    sources: origin as Record<SettingKey, SettingSource>,
  };
}

function settle(
  key: SettingKey,
  { flags, env }: ConfigSources,
  file: Partial<Record<SettingKey, SettingValue>>,
): [SettingValue | undefined, SettingSource] {
  const spec = settingSpec(key);
  const flag = flags[key];
  if (flag !== undefined) return [parse(key, flag, spec.flags.split(' ')[0] ?? key), 'flag'];
  const variable = env[spec.env];
  // An empty variable is how shells and unit files say "not set".
  if (variable !== undefined && variable !== '') {
    return [parse(key, variable, spec.env), 'environment'];
  }
  const fromFile = file[key];
  if (fromFile !== undefined) return [fromFile, 'file'];
  return [spec.fallback, spec.fallback === undefined ? 'unset' : 'default'];
}

function parse(key: SettingKey, value: unknown, where: string): SettingValue {
  const { kind, choices, range } = settingSpec(key);
  switch (kind) {
    case 'switch':
      return typeof value === 'boolean' ? value : parseSwitch(String(value), where);
    case 'integer':
      return parseInteger(String(value), where, range);
    case 'list': {
      const parts = Array.isArray(value) ? value.map(String) : [String(value)];
      return parts.flatMap((part) => part.split(/[\s,]+/)).filter((part) => part !== '');
    }
    case 'text': {
      const text = String(value);
      if (choices !== undefined && !choices.includes(text)) {
        throw new ConfigError(
          `${where} is ${JSON.stringify(text)}, expected one of ${choices.join(', ')}`,
        );
      }
      return text;
    }
  }
}

function parseSwitch(text: string, where: string): boolean {
  if (['1', 'true', 'yes', 'on'].includes(text)) return true;
  if (['0', 'false', 'no', 'off'].includes(text)) return false;
  throw new ConfigError(`${where} is ${JSON.stringify(text)}, expected true or false`);
}

/**
 * Reads an integer within bounds.
 *
 * @throws {ERR_CONFIG} naming `where` it was written.
 */
export function parseInteger(
  text: string,
  where: string,
  range: readonly [number, number] = [0, Number.MAX_SAFE_INTEGER],
): number {
  const number = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
  const [low, high] = range;
  if (number >= low && number <= high) return number;
  throw new ConfigError(
    `${where} is ${JSON.stringify(text)}, expected an integer from ${low} to ${high}`,
  );
}

async function parseConfigFile(file: {
  readonly name: string;
  readonly text: string;
}): Promise<Partial<Record<SettingKey, SettingValue>>> {
  // Only who uses a file pays for the schema library.
  const { readConfigFile } = await import('./config-file.ts');
  return readConfigFile(file.name, file.text);
}
