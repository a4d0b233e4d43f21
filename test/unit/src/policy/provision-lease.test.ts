import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../../../protocols/types.ts';
import {
  mayTellHook,
  PROVISION_LEASE_MS,
  PROVISION_LISTEN_MS,
  PROVISION_PATIENCE_MS,
  selectProvisionHolder,
} from '../../../../src/policy/provision-lease.ts';

const self = 'b' as NodeId;

function holder(heard: Readonly<Record<string, number>>, nowMs: number): string | undefined {
  const heardAtMs = new Map(Object.entries(heard) as [NodeId, number][]);
  return selectProvisionHolder({ self, listeningSinceMs: 0, heardAtMs }, nowMs);
}

describe('selectProvisionHolder', () => {
  it('gives nobody the lease before one has listened, then oneself where nobody else is', () => {
    expect(holder({}, PROVISION_LISTEN_MS - 1)).toBeUndefined();
    expect(holder({}, PROVISION_LISTEN_MS)).toBe('b');
  });

  it('gives it to another that was heard while one still listens', () => {
    expect(holder({ c: 0 }, 1)).toBe('c');
  });

  it('gives it to the lowest id of those that live', () => {
    const nowMs = 60_000;
    expect(holder({ c: nowMs }, nowMs)).toBe('b');
    expect(holder({ a: nowMs, c: nowMs }, nowMs)).toBe('a');
  });

  it('passes it on when nothing was heard of its holder for the length of the lease', () => {
    const heard = { a: 60_000 };
    expect(holder(heard, 60_000 + PROVISION_LEASE_MS - 1)).toBe('a');
    expect(holder(heard, 60_000 + PROVISION_LEASE_MS)).toBe('b');
  });
});

describe('mayTellHook', () => {
  it('lets the holder tell, fulfilled or not', () => {
    expect(mayTellHook({ isHolder: true, unfulfilledSinceMs: undefined }, 0)).toBe(true);
    expect(mayTellHook({ isHolder: true, unfulfilledSinceMs: 0 }, 1)).toBe(true);
  });

  it('lets another tell once an order has stood for ten minutes, and not before', () => {
    const other = { isHolder: false, unfulfilledSinceMs: 5 };
    expect(mayTellHook(other, 5 + PROVISION_PATIENCE_MS - 1)).toBe(false);
    expect(mayTellHook(other, 5 + PROVISION_PATIENCE_MS)).toBe(true);
    expect(mayTellHook({ isHolder: false, unfulfilledSinceMs: undefined }, 1e9)).toBe(false);
  });
});
