import { describe, expect, it } from 'vitest';
import {
  createVersionKnowledge,
  type VersionKnowledgeComponents,
} from '../../../../node/replica/version-knowledge.ts';
import type { VersionCid } from '../../../../protocols/types.ts';

const A = 'a' as VersionCid;
const to = (cid: string, previous: string | null = null) => ({ stable: { cid, previous } });

/** A node that wants version `a` under each name, of whose release it knows what is given. */
function prepare(
  releases: Readonly<Record<string, { channels: object; history?: object[] } | undefined>>,
) {
  return createVersionKnowledge(
    () =>
      ({
        peer: {
          releases: {
            cached: (_publisher: string, name: string) => {
              const release = releases[name];
              return release && { record: { history: [], ...release } };
            },
          },
        },
        store: {
          wanted: async () =>
            Object.keys(releases).map((name) => ({
              ...{ publisher: 'publisher', name, cid: A, release: null },
            })),
        },
        replicas: { get: () => undefined },
      }) as unknown as VersionKnowledgeComponents,
  );
}

describe('VersionKnowledge', () => {
  it('has a version current as long as a channel of any of its names points at it or falls back to it', async () => {
    const current = (releases: Parameters<typeof prepare>[0]) => prepare(releases).current(A);
    expect(await current({ first: { channels: to('b') } })).toBe(false);
    expect(await current({ first: { channels: to('b') }, second: { channels: to('a') } })).toBe(
      true,
    );
    expect(
      await current({ first: { channels: to('b') }, second: { channels: to('b', 'a') } }),
    ).toBe(true);
    expect(await current({ first: { channels: to('b') }, second: { channels: to('c') } })).toBe(
      false,
    );
  });

  it('has a version released that any of its names has ever moved to', async () => {
    const released = (releases: Parameters<typeof prepare>[0]) => prepare(releases).released(A);
    const second = { channels: to('b'), history: [{ cid: 'a' }] };
    expect(await released({ first: { channels: to('b') } })).toBe(false);
    expect(await released({ first: { channels: to('b') }, second })).toBe(true);
  });

  it('takes for current and released what a name may point at whose release is not known', async () => {
    const unknown = prepare({ first: { channels: to('b') }, second: undefined });
    expect(await unknown.current(A)).toBe(true);
    expect(await unknown.released(A)).toBe(true);
    const unwanted = prepare({});
    expect(await unwanted.current(A)).toBe(false);
    expect(await unwanted.released(A)).toBe(true);
  });
});
