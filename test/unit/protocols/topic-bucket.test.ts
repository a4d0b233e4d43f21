import { describe, expect, it } from 'vitest';
import { outcomeBucket, outcomeTopic } from '../../../protocols/outcome/index.ts';
import { releaseBucket, releaseTopic } from '../../../protocols/release/index.ts';
import { TOPIC_BUCKET_COUNT, topicBucket } from '../../../protocols/topic-bucket.ts';

describe('topicBucket', () => {
  it('is FNV-1a of the text modulo 16', () => {
    // From the reference vectors of FNV: '' is 811c9dc5, 'a' e40c292c, 'foobar' bf9cf968.
    expect(topicBucket('')).toBe(0x811c9dc5 % 16);
    expect(topicBucket('a')).toBe(0xe40c292c % 16);
    expect(topicBucket('foobar')).toBe(0xbf9cf968 % 16);
  });

  it('spreads models over all buckets', () => {
    const found = new Set(
      Array.from({ length: 500 }, (_, index) => releaseBucket('p', `model-${index}`)),
    );
    expect(found.size).toBe(TOPIC_BUCKET_COUNT);
  });
});

describe('releaseTopic and outcomeTopic', () => {
  it('carry the network and the bucket of publisher/name', () => {
    expect(releaseTopic('main', releaseBucket('p', 'digits'))).toBe(
      `/gpu-swarm/main/release/${topicBucket('p/digits')}`,
    );
    expect(outcomeTopic('lab', outcomeBucket('p', 'digits'))).toBe(
      `/gpu-swarm/lab/outcome/${topicBucket('p/digits')}`,
    );
  });
});
