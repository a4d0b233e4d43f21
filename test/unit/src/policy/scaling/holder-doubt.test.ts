import { describe, expect, it } from 'vitest';
import type { NodeId, VersionCid } from '../../../../../protocols/types.ts';
import {
  countedReplicas,
  HolderDoubts,
  planMeetings,
} from '../../../../../src/policy/scaling/holder-doubt.ts';
import type { ReplicaView } from '../../../../../src/policy/scaling/scaling-view.ts';
import { seededRandom } from '../../../../../src/sim/random.ts';

const A = 'a' as VersionCid;
const B = 'b' as VersionCid;
const LIAR = 'liar' as NodeId;
const LATER = 'later' as NodeId;

function replica(node: string, init: Partial<ReplicaView> = {}): ReplicaView {
  const known = { requestsPerS: null, forMs: 1_000, confirmed: true };
  return { node: node as NodeId, state: 'ready', ...known, ...init };
}

function replicas(count: number, name: string, confirmed: boolean): ReplicaView[] {
  return Array.from({ length: count }, (_, index) => replica(`${name}${index}`, { confirmed }));
}

function counted(confirmed: number, unconfirmed: number, phantoms: number): number {
  const all = [...replicas(confirmed, 'c', true), ...replicas(unconfirmed, 'u', false)];
  return countedReplicas({ replicas: all, phantoms }).length - confirmed;
}

describe('countedReplicas', () => {
  it('counts all while nobody was found to be made up', () => {
    expect(counted(1, 100, 0)).toBe(100);
    expect(counted(0, 1, 0)).toBe(1);
  });

  it('counts half as many unconfirmed ones as confirmed ones at most', () => {
    expect(counted(1, 10, 1)).toBe(0);
    expect(counted(2, 10, 1)).toBe(1);
    expect(counted(9, 10, 1)).toBe(4);
  });

  it('counts fewer the more were found to be made up', () => {
    expect(counted(20, 10, 1)).toBe(9);
    expect(counted(20, 10, 20)).toBe(5);
    expect(counted(20, 10, 64)).toBe(2);
  });

  it('counts those that were known first, and leaves out nobody who is only about to hold it', () => {
    const known = [
      ...replicas(3, 'c', true),
      replica('new', { confirmed: false, forMs: 0 }),
      replica('old', { confirmed: false, forMs: 5_000 }),
      replica('cold', { confirmed: false, state: 'cold' }),
    ];
    const nodes = countedReplicas({ replicas: known, phantoms: 1 }).map(({ node }) => node);
    expect(nodes).toEqual(['c0', 'c1', 'c2', 'old', 'cold']);
  });
});

describe('planMeetings', () => {
  it('names so many unconfirmed holders of versions in doubt, and none twice', () => {
    const doubted = { phantoms: 1, replicas: replicas(5, 'u', false) };
    const named = planMeetings([doubted, doubted], 4, seededRandom(1));
    expect(named).toHaveLength(4);
    expect(new Set(named).size).toBe(4);
    expect(planMeetings([doubted, doubted], 10, seededRandom(1))).toHaveLength(5);
  });

  it('names nobody while nothing is in doubt, nor whoever is confirmed', () => {
    const random = seededRandom(1);
    expect(planMeetings([{ phantoms: 0, replicas: replicas(5, 'u', false) }], 4, random)).toEqual(
      [],
    );
    expect(planMeetings([{ phantoms: 1, replicas: replicas(5, 'c', true) }], 4, random)).toEqual(
      [],
    );
  });
});

describe('HolderDoubts', () => {
  it('counts who was not there when it was new, for a minute, for the versions that it said it held', () => {
    const doubts = new HolderDoubts();
    doubts.see([LIAR], 0);
    doubts.miss(LIAR, [A], 5_000);
    expect(doubts.phantoms(A, 64_999)).toBe(1);
    expect(doubts.phantoms(B, 5_000)).toBe(0);
    expect(doubts.phantoms(A, 65_000)).toBe(0);
  });

  it('takes for dead who had been heard of for so long that it would have been missed', () => {
    const doubts = new HolderDoubts();
    doubts.see([LIAR], 0);
    doubts.miss(LIAR, [A], 10_000);
    expect(doubts.phantoms(A, 10_000)).toBe(0);
    doubts.see([LATER], 10_000);
    doubts.miss(LATER, [A], 19_999);
    expect(doubts.phantoms(A, 19_999)).toBe(1);
  });

  it('knows a node as new again that nobody spoke of for a while', () => {
    const doubts = new HolderDoubts();
    doubts.see([LIAR], 0);
    doubts.see([], 10_000);
    doubts.see([LIAR], 12_000);
    doubts.miss(LIAR, [A], 13_000);
    expect(doubts.phantoms(A, 13_000)).toBe(1);
  });

  it('holds for established who had been heard of for long before a version came into doubt, however long that lasts', () => {
    const doubts = new HolderDoubts();
    const [early, late] = ['early', 'late'] as NodeId[];
    if (early === undefined || late === undefined) throw new Error('two nodes are named');
    doubts.see([early], 0);
    doubts.see([early, late, LIAR], 10_000);
    expect(doubts.isEstablished(early, A, 10_000)).toBe(true);
    expect(doubts.isEstablished(early, A, 9_999)).toBe(false);
    doubts.miss(LIAR, [A], 12_000);
    doubts.see([early, late, LATER], 60_000);
    doubts.miss(LATER, [A], 61_000);
    expect(doubts.isEstablished(early, A, 100_000)).toBe(true);
    expect(doubts.isEstablished(late, A, 100_000)).toBe(false);
    expect(doubts.isEstablished(late, B, 100_000)).toBe(true);
    expect(doubts.isEstablished(late, A, 121_000)).toBe(true);
  });
});
