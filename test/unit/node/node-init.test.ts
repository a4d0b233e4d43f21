import pino from 'pino';
import { describe, expect, it } from 'vitest';
import { MAX_RATE_BYTES, type NodeInit, resolveNodeInit } from '../../../node/node-init.ts';
import { refusal } from '../../support/refusal.ts';

const init: NodeInit = { dataDir: '/data', logger: pino({ level: 'silent' }) };

describe('resolveNodeInit', () => {
  it('limits neither the disk nor the bandwidth by default', () => {
    expect(resolveNodeInit(init)).toMatchObject({
      storeQuotaBytes: undefined,
      uploadLimitBytes: undefined,
      downloadLimitBytes: undefined,
    });
  });

  it.each(['uploadLimitBytes', 'downloadLimitBytes'] as const)(
    'takes a %s of 64 KiB a second and more',
    (field) => {
      expect(resolveNodeInit({ ...init, [field]: 65_536 })[field]).toBe(65_536);
      for (const value of [65_535, MAX_RATE_BYTES + 1, 65_536.5]) {
        expect(() => resolveNodeInit({ ...init, [field]: value })).toThrow(
          refusal(
            'ERR_CONFIG',
            new RegExp(`^${field} is ${value}, expected an integer from 65536`),
          ),
        );
      }
    },
  );

  it('takes eight tags of 32 characters, and says what a tag may have', () => {
    const tags = Array.from({ length: 8 }, (_, index) => `${index}-${'x'.repeat(30)}`);
    expect(resolveNodeInit({ ...init, tags }).tags).toEqual(tags);
    expect(resolveNodeInit(init).tags).toEqual([]);
    expect(() => resolveNodeInit({ ...init, tags: [...tags, 'ecc'] })).toThrow(
      refusal('ERR_CONFIG', /^node has 9 tags, expected at most 8/),
    );
    for (const tag of ['', 'x'.repeat(33), 'ECC', 'a b', '-a']) {
      expect(() => resolveNodeInit({ ...init, tags: [tag] })).toThrow(
        refusal('ERR_CONFIG', /^tag .*: expected 1 to 32 characters a-z/),
      );
    }
  });

  it('shuts models in as far as the host allows, and knows no other word than these', () => {
    expect(resolveNodeInit(init)).toMatchObject({ isolation: 'auto', loopLimitMs: 5_000 });
    for (const isolation of ['auto', 'required', 'off'] as const) {
      expect(resolveNodeInit({ ...init, isolation }).isolation).toBe(isolation);
    }
    const isolation = 'strict' as 'auto';
    expect(() => resolveNodeInit({ ...init, isolation })).toThrow(
      refusal('ERR_CONFIG', /^isolation is 'strict', expected auto, required, off/),
    );
  });

  it('takes a loop limit of 0, which refuses loops', () => {
    expect(resolveNodeInit({ ...init, loopLimitMs: 0 }).loopLimitMs).toBe(0);
    expect(() => resolveNodeInit({ ...init, loopLimitMs: -1 })).toThrow(/^loopLimitMs is -1/);
  });

  it('retires what is idle for ten minutes by default, and for a second to thirty days as set', () => {
    expect(resolveNodeInit(init).retireAfterMs).toBe(600_000);
    for (const retireAfterMs of [1_000, 2_592_000_000]) {
      expect(resolveNodeInit({ ...init, retireAfterMs }).retireAfterMs).toBe(retireAfterMs);
    }
    for (const retireAfterMs of [999, 2_592_000_001]) {
      expect(() => resolveNodeInit({ ...init, retireAfterMs })).toThrow(/^retireAfterMs is/);
    }
  });

  it('takes any quota that is not below nothing', () => {
    expect(resolveNodeInit({ ...init, storeQuotaBytes: 0 }).storeQuotaBytes).toBe(0);
    expect(() => resolveNodeInit({ ...init, storeQuotaBytes: -1 })).toThrow(
      /^storeQuotaBytes is -1/,
    );
  });
});
