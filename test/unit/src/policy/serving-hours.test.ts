import { describe, expect, it } from 'vitest';
import { isServing, parseServingHours } from '../../../../src/policy/serving-hours.ts';

describe('parseServingHours', () => {
  it('reads hours with and without minutes', () => {
    expect(parseServingHours('22:30-07:05')).toEqual({ fromMinute: 1350, toMinute: 425 });
    expect(parseServingHours(' 9-24 ')).toEqual({ fromMinute: 540, toMinute: 1440 });
  });

  it.each(['', '9', '9-9', '0-24', '24-0', '25-7', '9:60-10', '9-10-11', '-1-5', 'a-b'])(
    'refuses %j',
    (text) => {
      expect(() => parseServingHours(text)).toThrow(
        `serving hours are ${JSON.stringify(text)}, expected two times of day`,
      );
    },
  );
});

describe('isServing', () => {
  it.each([
    ['9-17', [540, 1019], [539, 1020, 0, 1439]],
    ['22-7', [1320, 1439, 0, 419], [420, 1319]],
    ['9-24', [540, 1439], [0, 539]],
  ])('%s includes its first minute and not its last', (text, inside, outside) => {
    const hours = parseServingHours(text);
    expect(inside.filter((minute) => !isServing(hours, minute))).toEqual([]);
    expect(outside.filter((minute) => isServing(hours, minute))).toEqual([]);
  });
});
