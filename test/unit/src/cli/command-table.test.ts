import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../../../src/cli/command-table.ts';
import { settingSpec } from '../../../../src/cli/settings.ts';

const page = readFileSync(new URL('../../../../docs/cli.md', import.meta.url), 'utf8');

/** The part of docs/cli.md under each command's heading. */
const sections = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map((text) => [/^`swarm ([^`]+)`/.exec(text)?.[1] ?? text, text.split(/^## /m)[0] ?? '']),
);

describe('COMMANDS', () => {
  it('are the headings of docs/cli.md, in the same order', () => {
    expect([...sections.keys()]).toEqual(COMMANDS.map(({ path }) => path));
  });

  it.each(COMMANDS)('has the arguments of `swarm $path` in docs/cli.md, and no other', (spec) => {
    const section = sections.get(spec.path) ?? '';
    const documented = [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name);
    const operands = (spec.operands ?? []).map(({ name }) => `<${name}>`);
    const options = (spec.options ?? []).map(({ flags }) => flags);
    expect(documented).toEqual([...operands, ...options]);
  });

  it.each(COMMANDS)('has the settings of `swarm $path` in docs/cli.md, and no other', (spec) => {
    const line = /^Settings: ((?:.|\n)*?)\n\n/m.exec(sections.get(spec.path) ?? '')?.[1] ?? '';
    const flags = spec.settings.map((key) => settingSpec(key).flags.split(' ')[0]);
    const documented = [...line.matchAll(/`([^`]+)`/g)].map(([, flag]) => flag);
    expect(spec.path === 'config' ? line : documented).toEqual(
      spec.path === 'config' ? 'all.' : flags,
    );
  });

  it.each(COMMANDS)('has the examples of `swarm $path` in docs/cli.md', (spec) => {
    const block = /```sh\n((?:.|\n)*?)```/.exec(sections.get(spec.path) ?? '')?.[1];
    expect(block).toBe(spec.examples.map((example) => `swarm ${example}\n`).join(''));
  });

  it.each(COMMANDS)('loads the code of `swarm $path`', async (spec) => {
    expect(await spec.load()).toBeTypeOf('function');
  });
});
