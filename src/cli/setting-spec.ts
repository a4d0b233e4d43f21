/** How a setting is written on the command line, in the environment and in the configuration file. */
export interface SettingSpec {
  /** `list` settings are repeated flags, comma- or space-separated in the environment, arrays in the file. */
  readonly kind: 'text' | 'list' | 'integer' | 'switch';
  readonly flags: string;
  readonly env: string;
  readonly about: string;
  readonly fallback?: SettingValue;
  /** Bounds of an integer. */
  readonly range?: readonly [number, number];
  /** What a text may be. */
  readonly choices?: readonly string[];
}

export type SettingValue = string | number | boolean | readonly string[];
