import { beforeEach, describe, expect, it } from 'vitest';
import type { PublisherId } from '../../../../../protocols/types.ts';
import type { FoundModel } from '../../../../../src/client/catalog-search.ts';
import { BareNames } from '../../../../../src/gateway/models/bare-names.ts';

const signal = new AbortController().signal;
const [ALICE, BOB] = ['alice', 'bob'] as PublisherId[] as [PublisherId, PublisherId];

/** What peers say of `digits`, when they do. */
interface Told {
  readonly by?: readonly PublisherId[];
  readonly asked?: number;
  readonly answered?: number;
}

let nowMs = 0;
let looks: { told: (told: Told) => void; failed: (error: Error) => void }[];
beforeEach(() => {
  nowMs = 0;
  looks = [];
});

function create(...trusted: PublisherId[]): BareNames {
  return new BareNames({
    trusted: new Set(trusted),
    nowMs: () => nowMs,
    search: async () => {
      const { promise, resolve, reject } = Promise.withResolvers<Told>();
      looks.push({ told: resolve, failed: reject });
      const { by = [], asked = 3, answered = 3 } = await promise;
      const models = by.map((publisher) => ({ publisher, name: 'digits' }) as FoundModel);
      return { models, asked, answered };
    },
  });
}

/** Asks, and has the peers say this. */
async function ask(names: BareNames, told: Told): Promise<PublisherId> {
  const found = names.publisherOf('digits', { signal });
  looks.at(-1)?.told(told);
  return found;
}

describe('BareNames', () => {
  it('look once for all who ask at once', async () => {
    const names = create();
    const asked = [1, 2, 3].map(() => names.publisherOf('digits', { signal }));
    looks[0]?.told({ by: [ALICE] });
    expect(await Promise.all(asked)).toEqual([ALICE, ALICE, ALICE]);
    expect(looks).toHaveLength(1);
  });

  it('answer by what is known while they look again, once in five seconds', async () => {
    const names = create();
    await ask(names, { by: [ALICE] });
    nowMs = 4_999;
    await names.publisherOf('digits', { signal });
    expect(looks).toHaveLength(1);
    nowMs = 5_000;
    for (const _ of [1, 2]) expect(await names.publisherOf('digits', { signal })).toBe(ALICE);
    expect(looks).toHaveLength(2);
  });

  it.each<[string, (look: (typeof looks)[number] | undefined) => void]>([
    ['nobody answers', (look) => look?.told({ answered: 0 })],
    ['nobody knows it any more', (look) => look?.told({})],
    ['the look fails', (look) => look?.failed(new Error('late'))],
  ])('keep what was found when %s', async (_, end) => {
    const names = create();
    await ask(names, { by: [ALICE] });
    nowMs = 5_000;
    await names.publisherOf('digits', { signal });
    end(looks[1]);
    await expect.poll(() => names.publisherOf('digits', { signal })).toBe(ALICE);
    expect(looks).toHaveLength(2);
  });

  it('notice a second model of the name, and prefer who has a petname', async () => {
    const [names, trusting] = [create(), create(BOB)];
    await ask(names, { by: [ALICE] });
    nowMs = 5_000;
    await names.publisherOf('digits', { signal });
    looks.at(-1)?.told({ by: [ALICE, BOB] });
    const several = /^model 'digits' is several publishers', expected one of alice\/digits, bob\/d/;
    await expect
      .poll(async () => ask(names, { by: [ALICE, BOB] }).catch(({ message }) => message))
      .toMatch(several);
    expect(await ask(trusting, { by: [ALICE, BOB] })).toBe(BOB);
  });

  it('say that a model is unknown only when more than half of those who were asked answered', async () => {
    const names = create();
    await expect(ask(names, { asked: 4, answered: 3 })).rejects.toMatchObject({
      ...{ code: 'ERR_NOT_FOUND', message: "Request for unknown model: 'digits' is not found" },
    });
    for (const few of [
      { asked: 2, answered: 1 },
      { asked: 0, answered: 0 },
    ]) {
      await expect(ask(names, few)).rejects.toMatchObject({ code: 'ERR_CONNECTION' });
    }
  });

  it('let a caller go who does not wait any longer', async () => {
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(create().publisherOf('digits', { signal: gone })).rejects.toThrow('gone');
  });
});
