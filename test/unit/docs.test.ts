import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as limits from '../../protocols/limits.ts';

const root = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

function sources(): string {
  const folders = ['protocols', 'src', 'node', 'bootstrap'];
  return folders
    .flatMap((folder) =>
      readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts'))
        .map((file) => read(`${folder}/${file}`)),
    )
    .join('\n');
}

describe('docs/errors.md', () => {
  const documented = [...read('docs/errors.md').matchAll(/^\| `(ERR_[A-Z_]+)`/gm)].map(
    ([, code]) => code,
  );
  const declared = [...read('protocols/errors.ts').matchAll(/^ {2}\| '(ERR_[A-Z_]+)'/gm)].map(
    ([, code]) => code,
  );

  it('lists every code that exists, and no other', () => {
    expect(new Set(documented)).toEqual(new Set(declared));
  });

  it('lists only codes that are thrown somewhere', () => {
    const text = sources();
    const classes = [
      ...read('protocols/errors.ts').matchAll(
        /class (\w+Error) extends SwarmError[\s\S]*?super\('(ERR_[A-Z_]+)'/g,
      ),
    ];
    expect(classes).toHaveLength(declared.length);
    for (const [, name, code] of classes)
      expect(text, `${code} is never thrown`).toContain(`new ${name}(`);
  });
});

describe('docs/limits.md', () => {
  it('has every limit of protocols/limits.ts with its value, and no other', () => {
    const documented = [...read('docs/limits.md').matchAll(/^\| `([A-Z_]+)` \| (\d+) \|/gm)].map(
      ([, name, value]) => [name, Number(value)],
    );
    expect(Object.fromEntries(documented)).toEqual({ ...limits });
  });
});

describe('docs/gateway-conformance.md', () => {
  const page = read('docs/gateway-conformance.md');
  const tests = (files: RegExp, title: RegExp): string[] =>
    readdirSync(new URL('test/integration', root))
      .filter((file) => files.test(file))
      .flatMap((file) => [...read(`test/integration/${file}`).matchAll(title)])
      .map(([, name]) => name ?? '');

  it("has a row for every fact of Triton's suites that is tested, and no other", () => {
    const facts = tests(/^triton-.*\.test\.ts$/, /\bit\(\s*'(L0_\w+: .+?)',\s/gs);
    expect(facts.length).toBeGreaterThan(50);
    const [table = ''] = page.split('What these suites have that no server');
    const found = [...table.matchAll(/^\| `(L0_\w+)` \| (.+?) \| .+ \|$/gm)];
    expect(found.map(([, suite, fact]) => `${suite}: ${fact}`).toSorted()).toEqual(
      facts.toSorted(),
    );
  });

  it('has a row for each of the twenty known failures, by the title of its test', () => {
    const titles = tests(/^gateway-known-failures/, /\bit\('(\d+: .+?)',\s/gs);
    expect(titles.map((title) => Number.parseInt(title))).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
    const found = [...page.matchAll(/^\| (\d+) \| (.+?) \| .+ \|$/gm)];
    expect(found.map(([, number, what]) => `${number}: ${what}`)).toEqual(titles);
  });
});

describe('docs/dependencies.md', () => {
  const { dependencies, optionalDependencies, devDependencies } = JSON.parse(
    read('package.json'),
  ) as Record<string, Record<string, string>>;

  it('has a row for every package that package.json names', () => {
    const text = read('docs/dependencies.md');
    const names = Object.keys({ ...dependencies, ...optionalDependencies, ...devDependencies });
    expect(names.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });
});

describe('docs/sdk.md', () => {
  it('shows nothing but lines of the example that runs', () => {
    const example = read('examples/sdk-tour.ts');
    const shown = [...read('docs/sdk.md').matchAll(/^```ts\n(.*?)^```$/gms)].map(
      ([, code]) => code,
    );
    expect(shown.length).toBeGreaterThan(0);
    // The example has them one level in: at the root of a program, or of a function.
    for (const code of shown) expect(example).toContain(code?.replaceAll(/^(?=.)/gm, '  '));
  });
});

describe('The version', () => {
  it('that a node announces is the one of package.json', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(read('node/daemon.ts')).toContain(`'gpu-swarm/${version}'`);
  });
});
