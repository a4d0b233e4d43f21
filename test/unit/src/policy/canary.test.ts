import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ReleaseChannel } from '../../../../protocols/release/index.ts';
import type { VersionCid } from '../../../../protocols/types.ts';
import { previousVersion, requestShare, selectTarget } from '../../../../src/policy/canary.ts';

const cid = (name: string): VersionCid => name as VersionCid;
const guard = { minSamples: 10 };
const nameless = { kind: 'channel', channel: 'stable', split: true } as const;
const never = (): number => expect.fail('asked for a random number');
const keys = Array.from({ length: 10_000 }, (_, index) => `user-${index}`);

function channelsOf(channels: Record<string, ReleaseChannel>) {
  return { channels };
}

function target(
  channels: Record<string, ReleaseChannel>,
  channel: string,
  options: { share?: number; tripped?: readonly string[]; split?: boolean } = {},
) {
  const { share = 1, tripped = [], split = false } = options;
  const named = { kind: 'channel', channel } as const;
  const selector = split ? ({ ...named, split: true } as const) : named;
  return selectTarget(channelsOf(channels), selector, {
    share,
    isTripped: (name) => tripped.includes(name),
  });
}

describe('requestShare', () => {
  it('is the same for one key of one model, whoever asks', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (model, key) => {
        const share = requestShare(model, key, never);
        expect(requestShare(model, key, never)).toBe(share);
        expect(share >= 0 && share < 1).toBe(true);
      }),
    );
  });

  it('is what other programs compute: FNV-1a over UTF-8, finished as murmur3', () => {
    // Fixed here, for a change would move every key to another side.
    expect(Math.round(requestShare('12D3KooW/digits', 'žluťoučký', never) * 2 ** 32)).toBe(
      3_561_998_854,
    );
    expect(Math.round(requestShare('', '', never) * 2 ** 32)).toBe(91_794_203);
  });

  it.each([0.01, 0.05, 0.1, 0.25, 0.5, 0.9])(
    'gives a canary of weight %d its share of 10 000 keys within 1 %',
    (weight) => {
      const taken = keys.filter((key) => requestShare('p/digits', key, never) < weight).length;
      expect(Math.abs(taken / keys.length - weight)).toBeLessThan(0.01);
    },
  );

  it('is another one for another model, so that no key meets every canary first', () => {
    const both = keys.filter((key) =>
      ['p/a', 'p/b'].every((model) => requestShare(model, key, never) < 0.5),
    );
    expect(Math.abs(both.length / keys.length - 0.25)).toBeLessThan(0.02);
  });

  it('is the random number without a key', () => {
    expect(requestShare('p/digits', undefined, () => 0.25)).toBe(0.25);
  });
});

describe('selectTarget', () => {
  const split = { stable: { cid: cid('old') }, canary: { cid: cid('new'), weight: 0.1 } };

  it('gives the canary the shares below its weight, when no channel is named', () => {
    expect(target(split, 'stable', { share: 0.0999, split: true })).toEqual({
      cid: 'new',
      channel: 'canary',
      fellBack: false,
    });
    expect(target(split, 'stable', { share: 0.1, split: true })).toEqual({
      cid: 'old',
      channel: 'stable',
      fellBack: false,
    });
  });

  it('splits no channel that is named', () => {
    expect(target(split, 'stable', { share: 0 })?.cid).toBe('old');
    expect(target(split, 'canary', { share: 0.9 })?.cid).toBe('new');
  });

  it('moves shares from stable to the canary when the weight rises, and none back', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.string(),
        (a, b, key) => {
          const [lower, higher] = a < b ? [a, b] : [b, a];
          const share = requestShare('p/digits', key, never);
          const side = (weight: number) =>
            target({ ...split, canary: { cid: cid('new'), weight } }, 'stable', {
              share,
              split: true,
            })?.channel;
          if (side(lower) === 'canary') expect(side(higher)).toBe('canary');
        },
      ),
    );
  });

  it('gives a canary without a weight nothing', () => {
    const channels = { stable: { cid: cid('old') }, canary: { cid: cid('new') } };
    expect(target(channels, 'stable', { share: 0, split: true })?.channel).toBe('stable');
  });

  it('is undefined without the channel', () => {
    expect(target({ beta: { cid: cid('x') } }, 'stable')).toBeUndefined();
    expect(
      selectTarget(channelsOf({}), nameless, { share: 0, isTripped: () => false }),
    ).toBeUndefined();
  });

  it('leaves a channel whose guard has tripped for its previous version', () => {
    const channels = { stable: { cid: cid('new'), guard, previous: cid('old') } };
    expect(target(channels, 'stable', { tripped: ['stable'] })).toEqual({
      cid: 'old',
      channel: 'stable',
      fellBack: true,
    });
    expect(target(channels, 'stable')).toMatchObject({ cid: 'new', fellBack: false });
  });

  it('stays where there is no guard or nothing to fall back to', () => {
    expect(
      target({ stable: { cid: cid('new'), previous: cid('old') } }, 'stable', {
        tripped: ['stable'],
      })?.cid,
    ).toBe('new');
    expect(
      target({ stable: { cid: cid('new'), guard } }, 'stable', { tripped: ['stable'] })?.cid,
    ).toBe('new');
    expect(
      target({ stable: { cid: cid('new'), guard, previous: cid('new') } }, 'stable', {
        tripped: ['stable'],
      })?.fellBack,
    ).toBe(false);
  });

  it('gives a tripped canary’s share back to what stable means now', () => {
    const channels = {
      stable: { cid: cid('now') },
      canary: { cid: cid('new'), weight: 1, guard, previous: cid('then') },
    };
    expect(previousVersion(channels, 'canary')).toBe('now');
    expect(target(channels, 'stable', { share: 0.5, split: true, tripped: ['canary'] })).toEqual({
      cid: 'now',
      channel: 'canary',
      fellBack: true,
    });
  });

  it('gives it to the version before stable when stable has tripped too', () => {
    const channels = {
      stable: { cid: cid('now'), guard, previous: cid('first') },
      canary: { cid: cid('new'), weight: 1, guard },
    };
    expect(target(channels, 'canary', { tripped: ['canary', 'stable'] })?.cid).toBe('first');
  });

  it('falls back from a canary without stable to its previous version', () => {
    expect(
      target({ canary: { cid: cid('new'), guard, previous: cid('then') } }, 'canary', {
        tripped: ['canary'],
      })?.cid,
    ).toBe('then');
  });

  it('falls back to stable from another partial channel that names no version', () => {
    const stable = { cid: cid('now') };
    const beta = { cid: cid('new'), weight: 0.5, guard };
    expect(target({ stable, beta }, 'beta', { tripped: ['beta'] })?.cid).toBe('now');
    const named = { ...beta, previous: cid('then') };
    expect(target({ stable, beta: named }, 'beta', { tripped: ['beta'] })?.cid).toBe('then');
  });
});
