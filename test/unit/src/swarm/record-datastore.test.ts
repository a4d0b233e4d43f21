import { Key } from 'interface-datastore';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordDatastore } from '../../../../src/swarm/record-datastore.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const [a, b, c] = ['/peers/a', '/peers/b', '/dht/c'].map((name) => new Key(name)) as [
  Key,
  Key,
  Key,
];
const bytes = (...values: number[]) => Uint8Array.from(values);
const valueOf = async (key: Key): Promise<number[]> => [...(await store.get(key))];

let folder: Awaited<ReturnType<typeof createTestFolder>>;
let store: RecordDatastore;
let failures: unknown[];
/** Stands for a disk that is full: LevelDB itself is the real one. */
let full: boolean;

async function open(): Promise<RecordDatastore> {
  const opened = new RecordDatastore(folder.path, (error) => failures.push(error));
  await opened.open();
  const { db } = opened;
  for (const name of ['put', 'del', 'batch'] as const) {
    const really = db[name].bind(db) as (...args: unknown[]) => Promise<unknown>;
    Object.defineProperty(db, name, {
      value: async (...args: unknown[]) => {
        if (full) throw new Error('No space left on device');
        return really(...args);
      },
    });
  }
  return opened;
}

async function keys(prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const key of store.queryKeys({ prefix })) found.push(key.toString());
  return found.toSorted();
}

beforeEach(async () => {
  folder = await createTestFolder();
  failures = [];
  full = false;
  store = await open();
});
afterEach(async () => {
  await store.close();
  await folder[Symbol.asyncDispose]();
});

describe('RecordDatastore', () => {
  it('keeps what the disk does not take, and says so once', async () => {
    await store.put(a, bytes(1));
    await store.put(b, bytes(2));
    full = true;
    await store.put(a, bytes(11));
    await store.delete(b);
    await store.put(c, bytes(3));
    expect(await valueOf(a)).toEqual([11]);
    expect(await store.has(b)).toBe(false);
    await expect(store.get(b)).rejects.toMatchObject({ name: 'NotFoundError' });
    expect(await keys('/peers/')).toEqual(['/peers/a']);
    expect(await keys('/dht/')).toEqual(['/dht/c']);
    expect(failures).toHaveLength(1);
  });

  it('writes all of it once the disk takes something again', async () => {
    await store.put(b, bytes(2));
    full = true;
    await store.put(a, bytes(1));
    await store.delete(b);
    full = false;
    await store.put(c, bytes(3));
    await store.close();
    store = await open();
    expect(await valueOf(a)).toEqual([1]);
    expect(await valueOf(c)).toEqual([3]);
    expect(await store.has(b)).toBe(false);
    full = true;
    await store.put(a, bytes(4));
    expect(failures).toHaveLength(2);
  });

  it('has what was put last, whatever the disk took of it', async () => {
    full = true;
    await store.put(a, bytes(1));
    full = false;
    await Promise.all([store.put(a, bytes(2)), store.put(b, bytes(3))]);
    await store.close();
    store = await open();
    expect(await valueOf(a)).toEqual([2]);
  });

  it('keeps the entries of a batch like others', async () => {
    full = true;
    const batch = store.batch();
    batch.put(a, bytes(1));
    batch.delete(b);
    await batch.commit();
    expect(await valueOf(a)).toEqual([1]);
  });

  it('fails as ever once it is closed', async () => {
    await store.close();
    await expect(store.put(a, bytes(1))).rejects.toMatchObject({ name: 'PutFailedError' });
    expect(failures).toEqual([]);
    store = await open();
  });
});
