import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdTable } from '../../../protocols/id-table.ts';
import { grownBytes } from '../../support/heap-growth.ts';

/** Few distinct ones, so that they meet: neighbours, multiples of every size of the table, and the ends of what 32 bits hold. */
const ids = fc.constantFrom(
  0,
  1,
  2,
  15,
  16,
  17,
  31,
  32,
  64,
  1024,
  2 ** 31,
  2 ** 32 - 2,
  2 ** 32 - 1,
);

const step = fc.record({ id: ids, action: fc.constantFrom('set', 'delete') });

describe('IdTable', () => {
  it('holds what a Map would hold after the same steps', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const table = new IdTable<{ readonly turn: number }>();
        const map = new Map<number, { readonly turn: number }>();
        for (const [turn, { id, action }] of steps.entries()) {
          if (action === 'set') {
            table.set(id, { turn });
            map.set(id, { turn });
          } else {
            table.delete(id);
            map.delete(id);
          }
          expect(table.size).toBe(map.size);
          expect(table.has(id)).toBe(map.has(id));
          for (const [known, value] of map) expect(table.get(known)).toEqual(value);
        }
        expect(new Map(table.entries())).toEqual(map);
      }),
    );
  });

  it('holds thousands, and none once they are deleted', () => {
    const table = new IdTable<{ readonly id: number }>();
    for (let id = 0; id < 5_000; id += 1) table.set(id * 3, { id });
    expect(table.size).toBe(5_000);
    expect(table.get(3 * 4_999)).toEqual({ id: 4_999 });
    for (let id = 0; id < 5_000; id += 1) table.delete(id * 3);
    expect(table.size).toBe(0);
    expect(table.entries()).toEqual([]);
  });

  it('lets go of what was deleted without a collection of all of the heap', async () => {
    const table = new IdTable<object>();
    const growth = await grownBytes(32_768, (id) => {
      table.set(id, { payload: Array.from({ length: 64 }, () => id) });
      table.delete(id - 32);
      return undefined;
    });
    // Of 20 MB. A Map in its place keeps most of them.
    expect(growth).toBeLessThan(4 * 1024 * 1024);
  });
});
