import { describe, expect, it } from 'vitest';
import type { DemandDigest } from '../../../../protocols/demand/index.ts';
import type { NodeId, VersionCid } from '../../../../protocols/types.ts';
import { DemandLedger } from '../../../../src/swarm/demand-ledger.ts';

const HELD = 'held' as VersionCid;
const HOLDER = 'holder' as NodeId;
const NONE = { arrivalsPerS: 0, refusalsPerS: 0, coldMissesPerS: 0 };

function digest(reporter: string, cids: readonly string[], sequence = 1): DemandDigest {
  return {
    ...{ reporter: reporter as NodeId, role: 'node' as const, sequence, intervalMs: 10_000 },
    ...{ stableWindowMs: 60_000, panicWindowMs: 6_000 },
    versions: cids.map((cid) => ({
      ...{ cid: cid as VersionCid, stable: NONE, panic: NONE },
      ...{ inFlight: 1, queueWaitMs: 2, serviceTimeMs: 3 },
    })),
  };
}

/** A ledger of a peer that knows of these who hold a version. */
function ledgerOf(holdings: ReadonlyMap<string, readonly string[]>): DemandLedger {
  const isHolder = (node: NodeId, cid: VersionCid): boolean =>
    holdings.get(cid)?.includes(node) ?? false;
  return new DemandLedger({ isHolder, isHeld: (cid) => holdings.has(cid) });
}

function reporters(ledger: DemandLedger, cid: VersionCid = HELD): string[] {
  return ledger.reports(cid, 2).map(({ reporter }) => reporter);
}

describe('DemandLedger', () => {
  it('keeps what is said of a held version, however many versions are made up', () => {
    const ledger = ledgerOf(new Map([[HELD, [HOLDER]]]));
    ledger.add(digest(HOLDER, [HELD]), 0);
    for (let index = 0; index < 5_000; index += 1) {
      expect(ledger.add(digest('liar', [`made-up-${index}`]), 1)).toBe(true);
    }
    expect(reporters(ledger)).toEqual([HOLDER]);
    expect(reporters(ledger, 'made-up-4999' as VersionCid)).toEqual(['liar']);
    expect(reporters(ledger, 'made-up-0' as VersionCid)).toEqual([]);
  });

  it('keeps the words of holders, however many reporters are made up', () => {
    const ledger = ledgerOf(new Map([[HELD, [HOLDER, 'other']]]));
    for (const holder of [HOLDER, 'other']) ledger.add(digest(holder, [HELD]), 0);
    for (let index = 0; index < 2_000; index += 1) ledger.add(digest(`liar-${index}`, [HELD]), 1);
    expect(ledger.reporterCount(HELD, 2)).toBe(512);
    expect(ledger.holderCount(HELD, 2)).toBe(2);
    expect(reporters(ledger)).toEqual(expect.arrayContaining([HOLDER, 'other', 'liar-1999']));
  });

  it('drops the holder silent for longest where there are too many of them', () => {
    const holders = Array.from({ length: 513 }, (_, index) => `holder-${index}`);
    const ledger = ledgerOf(new Map([[HELD, holders]]));
    for (const holder of holders) ledger.add(digest(holder, [HELD]), 0);
    expect(reporters(ledger)).toEqual(holders.slice(1));
  });

  it('has of a version what was said before its first holder was known', () => {
    const holdings = new Map<string, readonly string[]>();
    const ledger = ledgerOf(holdings);
    ledger.add(digest(HOLDER, [HELD]), 0);
    holdings.set(HELD, [HOLDER]);
    ledger.add(digest('other', [HELD]), 1);
    for (let index = 0; index < 1_000; index += 1) ledger.add(digest('liar', [`${index}`]), 1);
    expect(reporters(ledger)).toEqual([HOLDER, 'other']);
  });

  it('says nothing of what has faded', () => {
    const ledger = ledgerOf(new Map([[HELD, [HOLDER]]]));
    ledger.add(digest(HOLDER, [HELD]), 0);
    expect(ledger.reporterCount(HELD, 69_999)).toBe(1);
    expect(ledger.reporterCount(HELD, 70_000)).toBe(0);
    expect(ledger.reports(HELD, 70_000)).toEqual([]);
  });
});
