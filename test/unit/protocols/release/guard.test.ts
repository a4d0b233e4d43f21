import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DEFAULT_GUARD, resolveGuard } from '../../../../protocols/release/index.ts';

const page = readFileSync(
  new URL('../../../../docs/protocols/release.md', import.meta.url),
  'utf8',
);

describe('resolveGuard', () => {
  it('takes what is said and fills in the rest', () => {
    expect(resolveGuard({})).toEqual(DEFAULT_GUARD);
    expect(resolveGuard({ maxErrorRate: 0, windowMs: undefined })).toEqual({
      ...DEFAULT_GUARD,
      maxErrorRate: 0,
    });
  });

  it('has the defaults of docs/protocols/release.md', () => {
    const documented = [...page.matchAll(/^\| `(m\w+|windowMs)` \| [^|]+ \| ([\d. ]+) \|/gm)].map(
      ([, name, value = '']) => [name, Number(value.replaceAll(' ', ''))],
    );
    expect(Object.fromEntries(documented)).toEqual(DEFAULT_GUARD);
  });
});
