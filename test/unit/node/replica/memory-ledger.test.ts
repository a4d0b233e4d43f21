import { describe, expect, it } from 'vitest';
import { MemoryLedger, type Standing } from '../../../../node/replica/memory-ledger.ts';
import type { VersionCid } from '../../../../protocols/types.ts';
import type { MemoryPool } from '../../../../src/policy/memory-budget.ts';

const IDLE: Standing = { busy: false, lastUsedMs: 0, uses: 0, loadMs: 1 };
const cid = (name: string) => name as VersionCid;
const claim = (bytes: number, pool = 'host') => ({ pool, bytes });

function prepare(
  pools: readonly MemoryPool[] = [{ id: 'host', totalBytes: 100, availableBytes: null }],
) {
  const evicted: string[] = [];
  const busy = new Set<string>();
  const gone = new Map<string, PromiseWithResolvers<void>>();
  const ledger: MemoryLedger = new MemoryLedger({
    pools: () => pools,
    standing: (version) => ({ ...IDLE, busy: busy.has(version) }),
    evict: async (version) => {
      evicted.push(version);
      const leaving = Promise.withResolvers<void>();
      gone.set(version, leaving);
      await leaving.promise;
    },
  });
  return { ledger, evicted, busy, gone };
}

describe('MemoryLedger', () => {
  it('counts what is reserved until it is measured, and what is measured from then on', async () => {
    const { ledger } = prepare();
    const lease = await ledger.reserve(cid('a'), [claim(60)]);
    expect(ledger.freeBytes('host')).toBe(40);
    let measured: number | null = 25;
    lease.settle('host', () => measured);
    expect(ledger.freeBytes('host')).toBe(75);
    measured = null;
    expect(ledger.freeBytes('host')).toBe(40);
    lease.release();
    lease.release();
    expect(ledger.freeBytes('host')).toBe(100);
  });

  it('waits until an idle version is gone, and gives its room to nobody else meanwhile', async () => {
    const { ledger, evicted, gone } = prepare();
    const old = await ledger.reserve(cid('old'), [claim(80)]);
    old.settle('host', () => 80);
    let done = false;
    const waiting = ledger.reserve(cid('new'), [claim(50)]).then((lease) => {
      done = true;
      return lease;
    });
    await expect(ledger.reserve(cid('third'), [claim(50)])).rejects.toMatchObject({
      code: 'ERR_BUSY',
      details: { pool: 'host', neededBytes: 50, freeBytes: 0, idleBytes: 0, totalBytes: 100 },
    });
    expect(evicted).toEqual(['old']);
    expect(done).toBe(false);
    old.release();
    gone.get('old')?.resolve();
    await waiting;
    expect(ledger.usedBytes('host')).toBe(50);
  });

  it('leaves busy versions alone, and idle ones too where nobody shall leave', async () => {
    const { ledger, evicted, busy } = prepare();
    const held = await ledger.reserve(cid('held'), [claim(80)]);
    held.settle('host', () => 80);
    await expect(ledger.reserve(cid('b'), [claim(50)], { evict: false })).rejects.toMatchObject({
      code: 'ERR_BUSY',
      details: { pool: 'host', neededBytes: 50, freeBytes: 20, idleBytes: 0, totalBytes: 100 },
    });
    busy.add('held');
    await expect(ledger.reserve(cid('b'), [claim(50)])).rejects.toMatchObject({ code: 'ERR_BUSY' });
    expect(evicted).toEqual([]);
  });

  it('says of what would not fit alone that it is over a limit, with the numbers', async () => {
    const { ledger } = prepare();
    await expect(ledger.reserve(cid('a'), [claim(101)])).rejects.toMatchObject({
      code: 'ERR_LIMIT',
      message: "version needs 101 B of the host's memory, this node gives its models 100 B in all",
      details: { neededBytes: 101, totalBytes: 100 },
    });
  });

  it('keeps a GPU and the host apart, and takes nothing of one when the other has no room', async () => {
    const host = { id: 'host', totalBytes: 100, availableBytes: null };
    const gpu = { id: 'gpu0', totalBytes: 1_000, availableBytes: 500 };
    const { ledger } = prepare([host, gpu]);
    await ledger.reserve(cid('a'), [claim(10), claim(400, 'gpu0')]);
    expect([ledger.freeBytes('host'), ledger.freeBytes('gpu0')]).toEqual([90, 100]);
    const second = ledger.reserve(cid('b'), [claim(10), claim(101, 'gpu0')]);
    await expect(second).rejects.toThrow('101 B of the memory of gpu0, this node has 100 B free');
    expect(ledger.freeBytes('host')).toBe(90);
  });

  it('has idle versions leave when models have grown past the total', async () => {
    const { ledger, evicted, busy, gone } = prepare();
    const grown = await ledger.reserve(cid('grown'), [claim(50)]);
    busy.add('grown');
    const idle = await ledger.reserve(cid('idle'), [claim(40)]);
    idle.settle('host', () => 40);
    grown.settle('host', () => 90);
    const reconciled = ledger.reconcile('host');
    expect(evicted).toEqual(['idle']);
    idle.release();
    gone.get('idle')?.resolve();
    await expect(reconciled).resolves.toBe(0);
    grown.settle('host', () => 120);
    await expect(ledger.reconcile('host')).resolves.toBe(20);
  });

  it('makes room of those idle versions alone that may leave, and says beforehand how much that is', async () => {
    const { ledger, evicted, busy, gone } = prepare();
    for (const name of ['kept', 'spare', 'used']) {
      (await ledger.reserve(cid(name), [claim(30)])).settle('host', () => 30);
    }
    busy.add('used');
    const mayLeave = (version: VersionCid) => version !== cid('kept');
    expect(ledger.roomBytes('host', mayLeave)).toBe(40);
    await expect(
      ledger.reserve(cid('new'), [claim(41)], { evict: mayLeave }),
    ).rejects.toMatchObject({ code: 'ERR_BUSY' });
    const waiting = ledger.reserve(cid('new'), [claim(40)], { evict: mayLeave });
    expect(evicted).toEqual(['spare']);
    gone.get('spare')?.resolve();
    await waiting;
    expect(ledger.roomBytes('gpu0', mayLeave)).toBeNull();
  });
});
