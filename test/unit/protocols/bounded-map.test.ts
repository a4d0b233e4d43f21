import { describe, expect, it } from 'vitest';
import { BoundedMap } from '../../../protocols/bounded-map.ts';

describe('BoundedMap', () => {
  it('holds as many entries as it may, and lets go of what was set longest ago', () => {
    const map = new BoundedMap<string, number>(2);
    map.set('a', 1).set('b', 2);
    expect([...map]).toEqual([
      ['a', 1],
      ['b', 2],
    ]);
    map.set('a', 3).set('c', 4);
    expect([...map]).toEqual([
      ['a', 3],
      ['c', 4],
    ]);
  });
});
