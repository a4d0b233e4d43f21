import { expect, test } from 'vitest';
import { GoneVersions } from '../../../../node/replica/gone-versions.ts';
import type { AnnouncedVersion } from '../../../../protocols/capacity/index.ts';

const of = (cid: string, note?: string) => ({ cid, state: 'gone', note }) as AnnouncedVersion;

test('GoneVersions tells of a version until no older word of it is believed, and of the last sixteen', () => {
  const gone = new GoneVersions(() => false);
  for (let index = 0; index < 20; index += 1) gone.add(of(`v${index}`), index);
  expect(gone.announced(20).map(({ cid }) => cid)).toEqual(
    Array.from({ length: 16 }, (_, index) => `v${index + 4}`),
  );
  expect(gone.announced(180_018).map(({ cid }) => cid)).toEqual(['v19']);
  expect(gone.announced(180_019)).toEqual([]);
});

test('GoneVersions tells of a version once, by its last word', () => {
  const gone = new GoneVersions(() => false);
  gone.add(of('a', 'first'), 0);
  gone.add(of('b'), 1);
  gone.add(of('a', 'second'), 2);
  expect(gone.announced(3)).toEqual([of('b'), of('a', 'second')]);
});

test('GoneVersions tells no more of a version that is held again, also when it has gone since', () => {
  const held = new Set<string>();
  const gone = new GoneVersions((cid) => held.has(cid));
  gone.add(of('a', 'first'), 0);
  held.add('a');
  expect(gone.announced(1)).toEqual([]);
  held.delete('a');
  expect(gone.announced(2)).toEqual([]);
  gone.add(of('a', 'second'), 3);
  expect(gone.announced(4)).toEqual([of('a', 'second')]);
});
