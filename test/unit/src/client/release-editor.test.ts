import { describe, expect, it } from 'vitest';
import { moveChannels, type ReleaseRecord } from '../../../../protocols/release/index.ts';
import type { VersionCid } from '../../../../protocols/types.ts';
import {
  earlierVersion,
  endChannel,
  promoteCanary,
  rollBack,
  setVersion,
  startCanary,
} from '../../../../src/client/release-editor.ts';
import { refusal } from '../../../support/refusal.ts';
import { CID_A, CID_B, NOW_MS, PUBLISHER } from '../../../vectors/release.ts';

const CID_C = 'bafyreidykglsfhoixmivffc5uwhcgshx4j465xwqntbmu43nb2dzqwfvae' as VersionCid;
const CID_D = 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm' as VersionCid;
const next = { publisher: PUBLISHER, name: 'digits', nowMs: NOW_MS };

/** A record whose `stable` pointed at these versions, one after the other. */
function released(...cids: VersionCid[]): ReleaseRecord {
  let record: ReleaseRecord | undefined;
  for (const cid of cids) record = setVersion(record, { ...next, channel: 'stable', cid });
  return record ?? expect.fail('no version given');
}

describe('setVersion', () => {
  it('moves a channel and remembers what a guarded one was before', () => {
    const record = setVersion(released(CID_A), {
      ...next,
      channel: 'stable',
      cid: CID_B,
      guard: { maxErrorRate: 0.02 },
    });
    expect(record.channels['stable']).toEqual({
      cid: CID_B,
      guard: { maxErrorRate: 0.02 },
      previous: CID_A,
    });
    expect(
      setVersion(record, { ...next, channel: 'stable', cid: CID_C }).channels['stable'],
    ).toEqual({ cid: CID_C });
  });

  it('guards a first version, and one that stays, without a version before', () => {
    const guard = {};
    for (const before of [undefined, released(CID_A)]) {
      const record = setVersion(before, { ...next, channel: 'stable', cid: CID_A, guard });
      expect(record.channels['stable']).toEqual({ cid: CID_A, guard });
    }
  });

  it('compares a partial channel that is new with stable', () => {
    const record = setVersion(released(CID_A), {
      ...{ ...next, channel: 'beta', cid: CID_B, weight: 0.2, guard: {} },
    });
    expect(record.channels['beta']?.previous).toBe(CID_A);
  });
});

describe('startCanary', () => {
  it('takes a share from stable, which it falls back to when guarded', () => {
    const record = startCanary(released(CID_A), { ...next, cid: CID_B, weight: 0.05, guard: {} });
    expect(record.channels).toEqual({
      stable: { cid: CID_A },
      canary: { cid: CID_B, weight: 0.05, guard: {}, previous: CID_A },
    });
  });

  it('refuses a canary without stable, and one that is stable already', () => {
    expect(() => startCanary(undefined, { ...next, cid: CID_B, weight: 0.05 })).toThrow(
      refusal('ERR_NOT_FOUND', /has no release record to move$/),
    );
    const beta = setVersion(undefined, { ...next, channel: 'beta', cid: CID_A });
    expect(() => startCanary(beta, { ...next, cid: CID_B, weight: 0.05 })).toThrow(
      refusal('ERR_NOT_FOUND', /has no channel 'stable', it has: beta$/),
    );
    expect(() => startCanary(released(CID_A), { ...next, cid: CID_A, weight: 0.05 })).toThrow(
      refusal('ERR_INVALID_INPUT', /is stable already/),
    );
  });
});

describe('promoteCanary', () => {
  it('makes the canary stable with its guard and ends it, in one record', () => {
    const canary = startCanary(released(CID_A), { ...next, cid: CID_B, weight: 0.05, guard: {} });
    const record = promoteCanary(canary, next);
    expect(record.sequence).toBe(canary.sequence + 1);
    expect(record.channels).toEqual({ stable: { cid: CID_B, guard: {}, previous: CID_A } });
    expect(record.history.slice(-2).map(({ channel, cid }) => [channel, cid])).toEqual([
      ['stable', CID_B],
      ['canary', null],
    ]);
  });

  it('refuses when there is no canary', () => {
    expect(() => promoteCanary(released(CID_A), next)).toThrow(
      refusal('ERR_NOT_FOUND', /has no channel 'canary', it has: stable$/),
    );
  });
});

describe('rollBack', () => {
  it('goes back one version, without a guard, and further back each time', () => {
    const guarded = setVersion(released(CID_A, CID_B), {
      ...{ ...next, channel: 'stable', cid: CID_C, guard: {} },
    });
    const first = rollBack(guarded, next);
    expect(first.channels['stable']).toEqual({ cid: CID_B });
    const second = rollBack(first, next);
    expect(second.channels['stable']).toEqual({ cid: CID_A });
    expect(() => rollBack(second, next)).toThrow(
      refusal('ERR_NOT_FOUND', /has no version before .*, expected --to <cid>$/),
    );
  });

  it('goes to the version it is told, also one that was given up', () => {
    const back = rollBack(released(CID_A, CID_B), next);
    expect(rollBack(back, { ...next, to: CID_B }).channels['stable']).toEqual({ cid: CID_B });
    expect(() => rollBack(back, { ...next, to: CID_A })).toThrow(
      refusal('ERR_INVALID_INPUT', `version ${CID_A} is stable already`),
    );
  });
});

describe('earlierVersion', () => {
  it('is the version before, counted from the first time the present one was released', () => {
    expect(earlierVersion(released(CID_A, CID_B, CID_C), 'stable')).toBe(CID_B);
    expect(earlierVersion(released(CID_A, CID_B, CID_C, CID_B), 'stable')).toBe(CID_A);
    expect(earlierVersion(released(CID_A, CID_B, CID_A, CID_C), 'stable')).toBe(CID_A);
    expect(earlierVersion(released(CID_A, CID_A), 'stable')).toBeUndefined();
    expect(earlierVersion(released(CID_A), 'beta')).toBeUndefined();
    expect(earlierVersion(undefined, 'stable')).toBeUndefined();
  });

  it('passes over the time in which there was no such channel', () => {
    const ended = endChannel(released(CID_A), { ...next, channel: 'stable' });
    const again = setVersion(ended, { ...next, channel: 'stable', cid: CID_B });
    expect(earlierVersion(again, 'stable')).toBe(CID_A);
  });

  it('is what the guard compares with once the history has forgotten', () => {
    let record = setVersion(released(CID_A), {
      ...{ ...next, channel: 'stable', cid: CID_B, guard: {} },
    });
    for (let index = 0; index < 32; index += 1) {
      record = moveChannels(record, next, [['beta', { cid: CID_D }]]);
    }
    expect(earlierVersion(record, 'stable')).toBe(CID_A);
  });
});
