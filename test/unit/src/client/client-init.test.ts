import { describe, expect, it } from 'vitest';
import {
  DEFAULT_DEADLINE_MS,
  DEFAULT_JOIN_TIMEOUT_MS,
  resolveClientInit,
  type SwarmClientInit,
} from '../../../../src/client/client-init.ts';
import { refusal } from '../../../support/refusal.ts';

const BOOTSTRAP = [
  '/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5',
];

describe('resolveClientInit', () => {
  it('fills in what is not said', () => {
    expect(resolveClientInit({ bootstrap: BOOTSTRAP })).toEqual({
      bootstrap: BOOTSTRAP,
      network: 'main',
      mdns: false,
      mode: 'full',
      privateKey: undefined,
      deadlineMs: 30_000,
      joinTimeoutMs: 10_000,
    });
    expect([DEFAULT_DEADLINE_MS, DEFAULT_JOIN_TIMEOUT_MS]).toEqual([30_000, 10_000]);
  });

  it('keeps what is said', () => {
    const init = {
      bootstrap: [],
      network: 'lab',
      mdns: true,
      mode: 'light',
      privateKey: undefined,
      deadlineMs: 1,
      joinTimeoutMs: 2,
    } as const;
    expect(resolveClientInit(init)).toEqual(init);
  });

  it('refuses a client with no way into the swarm', () => {
    const message = 'bootstrap is empty and mdns is off: there is no way into the swarm';
    for (const init of [{}, { bootstrap: [] }, { mdns: false }]) {
      expect(() => resolveClientInit(init)).toThrow(
        expect.objectContaining({ code: 'ERR_CONFIG', message }),
      );
    }
    expect(resolveClientInit({ mdns: true }).bootstrap).toEqual([]);
  });

  it('names a setting that there is none of, and those there are', () => {
    for (const [init, message] of [
      [{ deadlineMS: 5 }, /^client: unknown 'deadlineMS', known are: bootstrap, .*deadlineMs/],
      [
        { sampling: { shares: 0.5 } },
        /^sampling: unknown 'shares', known are: firstAnswers, share/,
      ],
      [{ mode: 'lite' }, "mode is 'lite', expected 'full' or 'light'"],
    ] as const) {
      expect(() => resolveClientInit({ bootstrap: BOOTSTRAP, ...(init as object) })).toThrow(
        refusal('ERR_CONFIG', message),
      );
    }
    const given = { bootstrap: BOOTSTRAP, deadlineMS: undefined };
    expect(resolveClientInit(given).deadlineMs).toBe(30_000);
  });

  it.each<[unknown, string | RegExp]>([
    [undefined, /^client: expected an object, found nothing, known are: bootstrap/],
    [BOOTSTRAP[0], /^client: expected an object, found "\/ip4/],
    [{ bootstrap: BOOTSTRAP, network: 3 }, 'network is 3, expected a string'],
    [{ bootstrap: BOOTSTRAP, mdns: 'yes' }, 'mdns is "yes", expected a boolean'],
    [{ bootstrap: BOOTSTRAP, deadlineMs: '5' }, 'deadlineMs is "5", expected a number'],
    [{ bootstrap: BOOTSTRAP, selector: 3 }, 'selector is 3, expected a function'],
    [{ bootstrap: BOOTSTRAP, dataDir: 3 }, 'dataDir is 3, expected a string'],
    [
      { bootstrap: BOOTSTRAP, sampling: true },
      'sampling: expected an object, found true, known are: firstAnswers, share, budget',
    ],
    [
      { bootstrap: BOOTSTRAP, privateKey: 'key' },
      'privateKey is "key", expected a private key as generateKeyPair of @libp2p/crypto gives it',
    ],
  ])('says what it found of %j, and what was expected', (init, message) => {
    expect(() => resolveClientInit(init as SwarmClientInit)).toThrow(
      refusal('ERR_CONFIG', message),
    );
  });

  it('names bootstrap when it is one address instead of an array', () => {
    const bootstrap = BOOTSTRAP[0] as never;
    expect(() => resolveClientInit({ bootstrap })).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG',
        message: 'bootstrap is of type string, expected an array of multiaddrs',
      }),
    );
  });

  it.each(['deadlineMs', 'joinTimeoutMs'] as const)(
    'takes %s from just above 0 ms to a day, and names it when it is out of range',
    (field) => {
      const resolve = (value: number) =>
        resolveClientInit({ bootstrap: BOOTSTRAP, [field]: value });
      expect(resolve(0.5)[field]).toBe(0.5);
      expect(resolve(86_400_000)[field]).toBe(86_400_000);
      for (const value of [0, -1, 86_400_001, Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(() => resolve(value)).toThrow(
          expect.objectContaining({
            code: 'ERR_CONFIG',
            message: `${field} is ${value}, expected more than 0 and at most 86400000 ms`,
          }),
        );
      }
    },
  );

  it('refuses a network name that cannot be part of a protocol id', () => {
    expect(() => resolveClientInit({ bootstrap: BOOTSTRAP, network: 'a/b' })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG' }),
    );
  });
});
