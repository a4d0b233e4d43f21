import { describe, expect, it } from 'vitest';
import {
  formatDuration,
  parseBytes,
  parseDuration,
  parseNumber,
  parseShare,
} from '../../../../src/cli/quantity.ts';
import { refusal } from '../../../support/refusal.ts';

const DAY = 86_400_000;

describe('parseDuration', () => {
  it.each([
    ['90d', 90 * DAY],
    ['12h', DAY / 2],
    ['30m', 1_800_000],
    ['45s', 45_000],
    ['500ms', 500],
  ])('reads %s', (text, ms) => {
    expect(parseDuration(text, '--expires', [0, 1000 * DAY])).toBe(ms);
  });

  it.each(['', '90', 'd', '-1d', '1.5h', '1w', '1d ', '9999999999d'])('refuses %j', (text) => {
    expect(() => parseDuration(text, '--expires', [0, 1000 * DAY])).toThrow(
      refusal('ERR_CONFIG', /^--expires is .*, expected a duration such as 90d/),
    );
  });

  it('keeps to its bounds, both included', () => {
    const range = [3_600_000, DAY] as const;
    expect(parseDuration('1h', '--expires', range)).toBe(3_600_000);
    expect(parseDuration('24h', '--expires', range)).toBe(DAY);
    for (const text of ['59m', '25h']) {
      expect(() => parseDuration(text, '--expires', range)).toThrow(/from 1h to 1d$/);
    }
  });
});

describe('formatDuration', () => {
  it('is what parseDuration reads, in the largest unit that fits', () => {
    expect([DAY, 90 * DAY, 90_000, 1_500].map(formatDuration)).toEqual([
      '1d',
      '90d',
      '90s',
      '1500ms',
    ]);
  });
});

describe('parseShare', () => {
  it.each([
    ['5%', 0.05],
    ['0.05', 0.05],
    ['100%', 1],
    ['0.5%', 0.005],
    ['1', 1],
  ])('reads %s', (text, share) => {
    expect(parseShare(text, '--weight')).toBe(share);
  });

  it.each(['', '101%', '1.1', '5', '-5%', '5 %', 'half', '.5', '0x1'])('refuses %j', (text) => {
    expect(() => parseShare(text, '--weight')).toThrow(
      refusal('ERR_CONFIG', /^--weight is .*, expected a share such as 5% or 0.05, from 0 to 1$/),
    );
  });
});

describe('parseNumber', () => {
  it('reads numbers within bounds, and nothing else', () => {
    expect(parseNumber('1.5', '--max-latency-ratio', [1, 1000])).toBe(1.5);
    for (const text of ['0.99', '1000.1', '1e2', 'NaN', '']) {
      expect(() => parseNumber(text, '--max-latency-ratio', [1, 1000])).toThrow(
        refusal('ERR_CONFIG', /^--max-latency-ratio is .*, expected a number from 1 to 1000$/),
      );
    }
  });
});

describe('parseBytes', () => {
  it.each([
    ['65536', 65_536],
    ['64KiB', 65_536],
    ['512 MiB', 536_870_912],
    ['1.5GiB', 1_610_612_736],
    ['2TiB', 2 ** 41],
  ])('reads %s', (text, bytes) => {
    expect(parseBytes(text, '--store-quota', [0, 2 ** 50])).toBe(bytes);
  });

  it.each(['', 'GiB', '-1', '1GB', '1gib', '1e9', '0x10', '1.GiB'])('refuses %j', (text) => {
    expect(() => parseBytes(text, '--store-quota', [0, 2 ** 50])).toThrow(
      refusal('ERR_CONFIG', /^--store-quota is .*, expected bytes such as 200GiB/),
    );
  });

  it('keeps to its bounds, both included', () => {
    const range = [65_536, 2 ** 20] as const;
    expect(parseBytes('64KiB', '--upload-limit', range)).toBe(65_536);
    expect(parseBytes('1MiB', '--upload-limit', range)).toBe(2 ** 20);
    for (const text of ['65535', '1048577']) {
      expect(() => parseBytes(text, '--upload-limit', range)).toThrow(/from 65536 to 1048576$/);
    }
  });
});
