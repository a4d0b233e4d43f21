import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  DEFAULT_ANNOUNCE_INTERVAL_MS,
  DEFAULT_EXECUTION_LIMIT_MS,
  DEFAULT_MAX_QUEUED,
} from '../../../../node/index.ts';
import { DEFAULT_CHANNEL } from '../../../../protocols/reference.ts';
import { COMMANDS } from '../../../../src/cli/command-table.ts';
import { SETTING_KEYS, SETTINGS, settingSpec } from '../../../../src/cli/settings.ts';
import { DEFAULT_DEADLINE_MS } from '../../../../src/client/client-init.ts';

const page = readFileSync(new URL('../../../../docs/cli.md', import.meta.url), 'utf8');

describe('SETTINGS', () => {
  it('is the table of docs/cli.md: flag, variable, key and default', () => {
    const rows = [
      ...page.matchAll(/^\| `(--[^`]+)` \| `(SWARM_\w+)` \| `(\w+)` \| (?:`([^`]*)` )?\|/gm),
    ];
    const documented = rows.map(([, flags, env, key, fallback = '']) => [
      flags,
      env,
      key,
      fallback,
    ]);
    const declared = SETTING_KEYS.map((key) => {
      const { flags, env, fallback = '' } = settingSpec(key);
      return [flags, env, key, Array.isArray(fallback) ? fallback.join(' ') : String(fallback)];
    });
    expect(documented).toEqual(declared);
  });

  it('names each range in docs/cli.md', () => {
    for (const key of SETTING_KEYS) {
      const { range, flags } = settingSpec(key);
      if (range === undefined || key === 'maxRequestBytes') continue;
      const row = page.split('\n').find((line) => line.startsWith(`| \`${flags}\``));
      expect(row).toContain(`${range[0]} to ${range[1]}`);
    }
  });

  it('has one flag and one variable for each', () => {
    const specs = SETTING_KEYS.map(settingSpec);
    expect(new Set(specs.map(({ flags }) => flags)).size).toBe(specs.length);
    expect(new Set(specs.map(({ env }) => env)).size).toBe(specs.length);
  });

  it('has no setting that no command reads', () => {
    const used = new Set(
      COMMANDS.filter(({ path }) => path !== 'config').flatMap(({ settings }) => settings),
    );
    expect(SETTING_KEYS.filter((key) => !used.has(key))).toEqual([]);
  });

  it('has the defaults of what it configures', () => {
    expect(SETTINGS.announceIntervalMs.fallback).toBe(DEFAULT_ANNOUNCE_INTERVAL_MS);
    expect(SETTINGS.executionLimitMs.fallback).toBe(DEFAULT_EXECUTION_LIMIT_MS);
    expect(SETTINGS.maxQueued.fallback).toBe(DEFAULT_MAX_QUEUED);
    expect(SETTINGS.deadlineMs.fallback).toBe(DEFAULT_DEADLINE_MS);
    expect(SETTINGS.channel.fallback).toBe(DEFAULT_CHANNEL);
  });
});
