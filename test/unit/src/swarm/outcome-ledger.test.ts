import { describe, expect, it } from 'vitest';
import {
  MAX_EVIDENCE_DIGESTS,
  OutcomeLedger,
  windowOf,
} from '../../../../src/swarm/outcome-ledger.ts';
import { digestOf, guardedRelease, newer, older } from '../../../support/outcomes.ts';

const bytes = (value: number): Uint8Array => Uint8Array.of(value);

/** A ledger that has heard so many peers say that the newer version fails. */
function heard(peers: number, release = guardedRelease(3)): OutcomeLedger {
  const ledger = new OutcomeLedger();
  for (let index = 0; index < peers; index += 1) {
    const digest = digestOf(`peer-${index}`, release.sequence, { failed: 20 + index });
    ledger.add(digest, bytes(index), release, 1_000);
  }
  return ledger;
}

describe('OutcomeLedger', () => {
  it('trips when enough peers say the same, and not before', () => {
    expect(heard(1).tripOf(guardedRelease(3), 'stable', 1_000)).toBeUndefined();
    expect(heard(2).tripOf(guardedRelease(3), 'stable', 1_000)).toMatchObject({
      verdict: { tripped: true, reason: 'errors', reporters: 2 },
      atMs: 1_000,
    });
  });

  it('keeps to it when all of them fall silent, and hands on what it tripped on', () => {
    const ledger = heard(2);
    ledger.judge(1_000);
    const day = 86_400_000;
    expect(ledger.tripOf(guardedRelease(3), 'stable', day)).toBeDefined();
    expect(ledger.verdictOf(guardedRelease(3), 'stable', day)).toMatchObject({ samples: 41 });
    expect(ledger.digests(guardedRelease(3), day)).toEqual([bytes(1), bytes(0)]);
  });

  it('keeps to it when they later say that all is well', () => {
    const ledger = heard(2);
    ledger.judge(1_000);
    for (const peer of ['peer-0', 'peer-1']) {
      ledger.add(
        digestOf(peer, 3, { sequence: 2, answered: 100 }),
        bytes(9),
        guardedRelease(3),
        2_000,
      );
    }
    expect(ledger.tripOf(guardedRelease(3), 'stable', 2_000)).toBeDefined();
  });

  it('begins anew with a higher sequence of the record', () => {
    const ledger = heard(2);
    ledger.judge(1_000);
    expect(ledger.tripOf(guardedRelease(4), 'stable', 1_000)).toBeUndefined();
    expect(ledger.digests(guardedRelease(4), 1_000)).toEqual([]);
    expect(
      ledger.add(digestOf('peer-0', 4, { failed: 1 }), bytes(0), guardedRelease(4), 1_000),
    ).toBe(true);
    expect(ledger.reporterCount(guardedRelease(4))).toBe(1);
  });

  it('begins anew with another record of the same sequence', () => {
    const ledger = heard(2);
    ledger.judge(1_000);
    const other = guardedRelease(3, { stable: { cid: older, previous: newer, guard: {} } });
    expect(ledger.tripOf(other, 'stable', 1_000)).toBeUndefined();
    expect(ledger.reporterCount(other)).toBe(0);
  });

  it('takes no digest of another release, and none that is not newer than its reporter’s last', () => {
    const ledger = new OutcomeLedger();
    const add = (release: number, sequence: number) =>
      ledger.add(
        digestOf('peer', release, { sequence, failed: 1 }),
        bytes(0),
        guardedRelease(3),
        0,
      );
    expect([add(2, 1), add(4, 1), add(3, 5), add(3, 5), add(3, 4), add(3, 6)]).toEqual([
      ...[false, false, true, false, false, true],
    ]);
  });

  it('forgets what was heard longer ago than the window', () => {
    const ledger = new OutcomeLedger();
    ledger.add(digestOf('early', 3, { failed: 50 }), bytes(0), guardedRelease(3), 0);
    ledger.add(digestOf('late', 3, { failed: 50 }), bytes(1), guardedRelease(3), 60_000);
    expect(ledger.tripOf(guardedRelease(3), 'stable', 60_000)).toBeUndefined();
    expect(ledger.verdictOf(guardedRelease(3), 'stable', 59_999)).toMatchObject({ reporters: 2 });
    expect(ledger.digests(guardedRelease(3), 60_000)).toEqual([bytes(1)]);
  });

  it('trips no channel that has no guard, or nothing to fall back to', () => {
    const guard = { minSamples: 20, minReporters: 2 };
    const release = guardedRelease(3, {
      stable: { cid: newer, guard },
      beta: { cid: newer, previous: older },
    });
    const ledger = heard(3, release);
    ledger.judge(1_000);
    expect(ledger.tripOf(release, 'stable', 1_000)).toBeUndefined();
    expect(ledger.tripOf(release, 'beta', 1_000)).toBeUndefined();
    expect(ledger.verdictOf(release, 'beta', 1_000)).toBeUndefined();
    expect(ledger.verdictOf(release, 'none', 1_000)).toBeUndefined();
  });

  it('hands on at most 64 digests, those with the most requests', () => {
    const handed = heard(100).digests(guardedRelease(3), 1_000);
    expect(MAX_EVIDENCE_DIGESTS).toBe(64);
    expect(handed).toEqual(Array.from({ length: 64 }, (_, index) => bytes(99 - index)));
  });

  it('remembers 512 reporters of a model, and 256 models', () => {
    const ledger = heard(513);
    expect(ledger.reporterCount(guardedRelease(3))).toBe(512);
    for (let index = 0; index < 256; index += 1) {
      const other = { ...guardedRelease(3), name: `model-${index}` };
      ledger.add({ ...digestOf('peer', 3, { failed: 1 }), name: other.name }, bytes(0), other, 0);
    }
    expect(ledger.reporterCount(guardedRelease(3))).toBe(0);
    expect(ledger.reporterCount({ ...guardedRelease(3), name: 'model-0' })).toBe(1);
  });
});

describe('windowOf', () => {
  it('is the longest of a record’s guards, 0 without any', () => {
    const channels = {
      stable: { cid: newer, guard: { windowMs: 5_000 } },
      canary: { cid: newer, guard: {} },
      beta: { cid: newer },
    };
    expect(windowOf({ channels })).toBe(60_000);
    expect(windowOf({ channels: { beta: { cid: newer } } })).toBe(0);
  });
});
