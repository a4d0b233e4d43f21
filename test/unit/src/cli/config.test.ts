import { assert, integer, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseInteger, resolveSettings } from '../../../../src/cli/config.ts';
import { SETTING_KEYS, settingSpec } from '../../../../src/cli/settings.ts';
import { refusal } from '../../../support/refusal.ts';

const file = (value: unknown) => ({ name: 'swarm.json', text: JSON.stringify(value) });

describe('resolveSettings', () => {
  it('takes the flag before the environment, that before the file, that before the default', async () => {
    const sources = {
      flags: { network: 'flag' } as Record<string, unknown>,
      env: { SWARM_NETWORK: 'environment' } as Record<string, string>,
      file: file({ network: 'file' }),
    };
    const chosen = async (without: readonly ('flags' | 'env' | 'file')[]) => {
      const left = {
        flags: without.includes('flags') ? {} : sources.flags,
        env: without.includes('env') ? {} : sources.env,
        file: without.includes('file') ? undefined : sources.file,
      };
      const { settings, sources: from } = await resolveSettings(left);
      return [settings.network, from.network];
    };
    expect(await chosen([])).toEqual(['flag', 'flag']);
    expect(await chosen(['flags'])).toEqual(['environment', 'environment']);
    expect(await chosen(['flags', 'env'])).toEqual(['file', 'file']);
    expect(await chosen(['flags', 'env', 'file'])).toEqual(['main', 'default']);
  });

  it('says of a setting without value or default that it is unset', async () => {
    const { settings, sources } = await resolveSettings({ flags: {}, env: {} });
    expect([settings.data, sources.data]).toEqual([undefined, 'unset']);
    expect([settings.mdns, sources.mdns]).toEqual([undefined, 'unset']);
  });

  it('counts an empty variable as not set', async () => {
    const { sources } = await resolveSettings({ flags: {}, env: { SWARM_ZONE: '' } });
    expect(sources.zone).toBe('default');
  });

  it.each([
    ['a,b', ['a', 'b']],
    ['a b', ['a', 'b']],
    [' a ,, b\n', ['a', 'b']],
  ])('reads the list %j of a variable as %j', async (text, list) => {
    const { settings } = await resolveSettings({ flags: {}, env: { SWARM_BOOTSTRAP: text } });
    expect(settings.bootstrap).toEqual(list);
  });

  it('takes a repeated flag as a list', async () => {
    const { settings } = await resolveSettings({ flags: { listen: ['/a', '/b'] }, env: {} });
    expect(settings.listen).toEqual(['/a', '/b']);
  });

  it.each(['1', 'true', 'yes', 'on'])('reads %s as a switch that is on', async (text) => {
    const { settings } = await resolveSettings({ flags: {}, env: { SWARM_MDNS: text } });
    expect(settings.mdns).toBe(true);
  });

  it.each(['0', 'false', 'no', 'off'])('reads %s as a switch that is off', async (text) => {
    const { settings } = await resolveSettings({ flags: {}, env: { SWARM_MDNS: text } });
    expect(settings.mdns).toBe(false);
  });

  it('refuses a switch that is neither, and names the variable', async () => {
    await expect(resolveSettings({ flags: {}, env: { SWARM_MDNS: 'maybe' } })).rejects.toEqual(
      refusal('ERR_CONFIG', 'SWARM_MDNS is "maybe", expected true or false'),
    );
  });

  it('refuses a word that is none of the choices, and names the flag', async () => {
    await expect(resolveSettings({ flags: { logLevel: 'loud' }, env: {} })).rejects.toEqual(
      refusal('ERR_CONFIG', /^--log-level is "loud", expected one of silent, fatal, /),
    );
  });

  const ranges = SETTING_KEYS.flatMap((key) => {
    const { range, flags } = settingSpec(key);
    return range === undefined ? [] : [{ key, low: range[0], high: range[1], flags }];
  });

  it.each(ranges)('takes $key from $low to $high and nothing beyond', async (setting) => {
    const { key, low, high, flags } = setting;
    for (const value of [low, high]) {
      const { settings } = await resolveSettings({ flags: { [key]: String(value) }, env: {} });
      expect(settings[key]).toBe(value);
      const inFile = await resolveSettings({ flags: {}, env: {}, file: file({ [key]: value }) });
      expect(inFile.settings[key]).toBe(value);
    }
    for (const value of [low - 1, high + 1]) {
      await expect(resolveSettings({ flags: { [key]: String(value) }, env: {} })).rejects.toEqual(
        refusal(
          'ERR_CONFIG',
          `${flags.split(' ')[0]} is "${value}", expected an integer from ${low} to ${high}`,
        ),
      );
      await expect(
        resolveSettings({ flags: {}, env: {}, file: file({ [key]: value }) }),
      ).rejects.toEqual(refusal('ERR_CONFIG', new RegExp(`^swarm\\.json: ${key}: `)));
    }
  });
});

describe('the configuration file', () => {
  const resolve = (text: string) =>
    resolveSettings({ flags: {}, env: {}, file: { name: 'swarm.json', text } });

  it('refuses a key that is not known, and lists those that are', async () => {
    await expect(resolve('{"zone":"attic","zoen":"x"}')).rejects.toEqual(
      refusal('ERR_CONFIG', /^swarm\.json has unknown key 'zoen', known are: network, bootstrap, /),
    );
  });

  it('refuses a value of another kind, and names the key', async () => {
    await expect(resolve('{"bootstrap":"/ip4/127.0.0.1"}')).rejects.toEqual(
      refusal('ERR_CONFIG', /^swarm\.json: bootstrap: /),
    );
    await expect(resolve('{"mdns":"true"}')).rejects.toEqual(
      refusal('ERR_CONFIG', /^swarm\.json: mdns: /),
    );
  });

  it.each(['', '{', '[]', 'null', '"text"'])(
    'refuses %j, which is no JSON object',
    async (text) => {
      await expect(resolve(text)).rejects.toEqual(refusal('ERR_CONFIG', /^swarm\.json/));
    },
  );
});

describe('parseInteger', () => {
  it('reads every integer of its range back from its digits', () => {
    assert(
      property(integer({ min: 0, max: 1_000_000 }), (value) => {
        expect(parseInteger(String(value), '--n', [0, 1_000_000])).toBe(value);
      }),
    );
  });

  it.each(['', ' 1', '1.0', '1e3', '0x10', 'one', '9007199254740993'])('refuses %j', (text) => {
    expect(() => parseInteger(text, '--n', [0, Number.MAX_SAFE_INTEGER])).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG' }),
    );
  });
});
