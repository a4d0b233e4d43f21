import { describe, expect, it } from 'vitest';
import { GivenBlocks } from '../../../../protocols/transfer/given-blocks.ts';

describe('GivenBlocks', () => {
  it('gives a block to one peer while it is on its way and five seconds longer', () => {
    const given = new GivenBlocks();
    expect(given.promise('x', 'a', 0)).toBe(true);
    expect(given.promise('x', 'b', 10_000)).toBe(false);
    given.sent('x', 'a', 10_000);
    expect(given.promise('x', 'b', 14_999)).toBe(false);
    expect(given.promise('x', 'b', 15_000)).toBe(true);
  });

  it('gives the same peer what it asks for again, and everybody what nobody was given', () => {
    const given = new GivenBlocks();
    given.promise('x', 'a', 0);
    expect(given.promise('x', 'a', 1)).toBe(true);
    expect(given.promise('y', 'b', 1)).toBe(true);
  });

  it('does not wait for a peer that never takes what it was promised', () => {
    const given = new GivenBlocks();
    given.promise('x', 'a', 0);
    expect(given.promise('x', 'b', 29_999)).toBe(false);
    expect(given.promise('x', 'b', 30_000)).toBe(true);
  });

  it('gives a block to the next when the first gave it up, and only then', () => {
    const given = new GivenBlocks();
    given.promise('x', 'a', 0);
    given.forget('x', 'stranger');
    expect(given.promise('x', 'b', 1)).toBe(false);
    given.forget('x', 'a');
    expect(given.promise('x', 'b', 1)).toBe(true);
  });

  it('forgets the oldest of more blocks than it remembers', () => {
    const given = new GivenBlocks();
    for (let block = 0; block < 4_096; block += 1) given.promise(`${block}`, 'a', 0);
    expect(given.promise('0', 'b', 1)).toBe(false);
    given.promise('one more', 'a', 1);
    expect(given.promise('1', 'b', 1)).toBe(false);
    expect(given.promise('0', 'b', 1)).toBe(true);
  });
});
