import { describe, expect, it } from 'vitest';
import { NodePolicy, type NodePolicyInit } from '../../../node/node-policy.ts';
import type { PublisherId, VersionCid } from '../../../protocols/types.ts';

const origin = { publisher: '12D3friend' as PublisherId, cid: 'bafy-a' as VersionCid };
const ANY: NodePolicyInit = { allowPublishers: 'any', allowVersions: 'any', allowTasks: 'any' };
const NONE = { cordoned: false, pinned: [], forbidden: [] };

describe('NodePolicy', () => {
  it.each([
    { name: 'another publisher', init: { allowPublishers: ['12D3other'] }, word: 'publisher' },
    { name: 'a version that is not listed', init: { allowVersions: ['bafy-b'] }, word: 'version' },
  ])('refuses $name, and says by which list', ({ init, word }) => {
    const policy = new NodePolicy({ ...ANY, ...init }, NONE);
    expect(policy.refusal(origin)).toContain(`--allow-${word} list`);
    expect(() => policy.check(origin)).toThrow(expect.objectContaining({ code: 'ERR_FORBIDDEN' }));
  });

  it('refuses what its operator forbids, whatever the lists say', () => {
    const policy = new NodePolicy(ANY, { ...NONE, forbidden: [origin.cid] });
    expect(policy.refusal(origin)).toBe('version bafy-a is forbidden on this node');
  });

  it('lets in what is listed', () => {
    const init = { ...ANY, allowPublishers: [origin.publisher], allowVersions: [origin.cid] };
    expect(new NodePolicy(init, NONE).refusal(origin)).toBeUndefined();
  });

  it('judges tasks by the manifest: one that says none is let in by any alone', () => {
    const digits = { metadata: { task: 'image-classification' } };
    const picky = new NodePolicy({ ...ANY, allowTasks: ['image-classification'] }, NONE);
    picky.checkManifest(digits);
    for (const task of [undefined, 'text-generation']) {
      expect(() => picky.checkManifest({ metadata: { task } })).toThrow('--allow-task');
    }
    new NodePolicy(ANY, NONE).checkManifest({ metadata: {} });
  });

  it('takes no further versions while it is cordoned', () => {
    new NodePolicy(ANY, NONE).checkRoom();
    expect(() => new NodePolicy(ANY, { ...NONE, cordoned: true }).checkRoom()).toThrow(
      expect.objectContaining({ code: 'ERR_BUSY' }),
    );
  });
});
