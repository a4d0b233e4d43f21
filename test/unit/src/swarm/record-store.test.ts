import { Key } from 'interface-datastore';
import { describe, expect, it } from 'vitest';
import { RecordStore } from '../../../../src/swarm/record-store.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const HOUR_MS = 3_600_000;
const seen = (sequence: number, expiresInMs = HOUR_MS) => ({
  sequence,
  hash: new Uint8Array(32).fill(sequence),
  expiresAtMs: Date.now() + expiresInMs,
});

describe('RecordStore', () => {
  it('remembers the highest sequence per model over a restart', async () => {
    await using folder = await createTestFolder();
    const first = await RecordStore.open(folder.path);
    expect(await first.sequences.get('p/m')).toBeUndefined();
    await first.sequences.put('p/m', seen(1));
    const newest = seen(2);
    await first.sequences.put('p/m', newest);
    await first.close();
    const second = await RecordStore.open(folder.path);
    expect(await second.sequences.get('p/m')).toEqual(newest);
    expect(await second.sequences.get('p/other')).toBeUndefined();
    await second.close();
  });

  it('forgets at a restart what nobody believes any more', async () => {
    await using folder = await createTestFolder();
    const first = await RecordStore.open(folder.path);
    await first.sequences.put('p/expired', seen(1, -1));
    await first.sequences.put('p/live', seen(1));
    await first.close();
    const second = await RecordStore.open(folder.path);
    expect(await second.sequences.get('p/expired')).toBeUndefined();
    expect(await second.sequences.get('p/live')).toMatchObject({ sequence: 1 });
    await second.close();
  });

  it('takes a damaged entry for a model never seen', async () => {
    await using folder = await createTestFolder();
    const store = await RecordStore.open(folder.path);
    await store.datastore.put(new Key('/swarm/sequence/p/m'), Uint8Array.of(0xff));
    expect(await store.sequences.get('p/m')).toBeUndefined();
    await store.close();
  });

  it('says that another process may use the folder', async () => {
    await using folder = await createTestFolder();
    const store = await RecordStore.open(folder.path);
    await expect(RecordStore.open(folder.path)).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringContaining('are in use by another process'),
    });
    await store.close();
  });
});
