import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CAPACITY_TOPIC_COUNT,
  capacityBucket,
  capacityTopic,
  capacityTopics,
} from '../../../../protocols/capacity/index.ts';
import { NODE, VERSION } from '../../../vectors/capacity.ts';

describe('capacityBucket', () => {
  it('is the same for an id on every machine and in every version', () => {
    expect([VERSION.cid, NODE, '', 'a'].map(capacityBucket)).toMatchInlineSnapshot(`
      [
        1,
        7,
        5,
        12,
      ]
    `);
  });

  it('is one of sixteen, all of which are used', () => {
    const used = new Set<number>();
    fc.assert(
      fc.property(fc.string(), (id) => {
        const bucket = capacityBucket(id);
        used.add(bucket);
        return Number.isInteger(bucket) && bucket >= 0 && bucket < CAPACITY_TOPIC_COUNT;
      }),
      { numRuns: 1_000 },
    );
    expect(used.size).toBe(16);
  });
});

describe('capacityTopics', () => {
  it('names the topic of each bucket of a network', () => {
    const topics = capacityTopics('lab');
    expect(topics).toHaveLength(16);
    expect(topics[3]).toBe('/gpu-swarm/lab/capacity/3');
    expect(topics[3]).toBe(capacityTopic('lab', 3));
  });
});
