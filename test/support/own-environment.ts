import { SETTING_KEYS, settingSpec } from '../../src/cli/settings.ts';

/** This process's environment without the settings in it: what whoever runs the tests has exported for nodes of their own is not of theirs. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  const settings = new Set(['SWARM_CONFIG', ...SETTING_KEYS.map((key) => settingSpec(key).env)]);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !settings.has(name)));
}
