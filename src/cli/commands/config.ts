import type { CommandContext } from '../command-context.ts';
import type { CommandOptions } from '../command-spec.ts';
import { EXIT } from '../exit-code.ts';
import type { SettingValue } from '../setting-spec.ts';
import { SETTING_KEYS, type SettingKey } from '../settings.ts';
import { printTable } from '../table.ts';

/** `swarm config`: the settings in use and where each came from. They name files of keys, and hold no secret. */
export async function runConfig(
  { settings, sources, terminal }: CommandContext,
  { resolved }: CommandOptions,
): Promise<number> {
  const shown = SETTING_KEYS.filter((key) => resolved === true || isChosen(sources[key]));
  for (const key of shown) {
    terminal.event({
      event: 'setting',
      name: key,
      value: settings[key] ?? null,
      source: sources[key],
    });
  }
  if (shown.length === 0) {
    terminal.note(
      'no flag, environment variable or configuration file sets anything; --resolved shows all',
    );
  } else {
    const rows = shown.map((key) => [key, display(settings[key]), sources[key]]);
    printTable(terminal, ['SETTING', 'VALUE', 'FROM'], rows);
  }
  return EXIT.ok;
}

function isChosen(source: CommandContext['sources'][SettingKey]): boolean {
  return source !== 'default' && source !== 'unset';
}

function display(value: SettingValue | undefined): string {
  if (value === undefined) return '-';
  if (typeof value === 'string' || Array.isArray(value)) return JSON.stringify(value);
  return String(value);
}
