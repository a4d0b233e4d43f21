import { describe, expect, it } from 'vitest';
import { FailedClaims } from '../../../../node/scaler/failed-claims.ts';
import type { VersionCid } from '../../../../protocols/types.ts';

const CID = 'version' as VersionCid;

describe('FailedClaims', () => {
  it('leaves a version to others for ten seconds, and twice as long each time it fails again', () => {
    const failed = new FailedClaims();
    failed.add(CID, 0);
    expect(failed.has(CID, 9_999)).toBe(true);
    expect(failed.has(CID, 10_000)).toBe(false);
    failed.add(CID, 10_000);
    expect(failed.has(CID, 29_999)).toBe(true);
    expect(failed.has(CID, 30_000)).toBe(false);
    for (let time = 0; time < 40; time += 1) failed.add(CID, 0);
    expect(failed.has(CID, 599_999)).toBe(true);
    expect(failed.has(CID, 600_000)).toBe(false);
  });

  it('forgets one that came up', () => {
    const failed = new FailedClaims();
    failed.add(CID, 0);
    failed.forget(CID);
    failed.add(CID, 0);
    expect(failed.has(CID, 10_000)).toBe(false);
  });
});
