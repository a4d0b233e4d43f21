import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { OperatorOrders } from '../../../node/operator-orders.ts';
import type { VersionCid } from '../../../protocols/types.ts';
import { createTestFolder } from '../../support/test-folder.ts';

const cidOf = (name: string) => `bafyreigfobgggyyn37zoptjtamrw7nuql7qm-${name}` as VersionCid;
const [A, B] = [cidOf('a'), cidOf('b')];

async function open(folder: string) {
  let changes = 0;
  const file = path.join(folder, 'orders.json');
  const orders = await OperatorOrders.open({ file, onChange: () => (changes += 1) });
  return { orders, file, changes: () => changes };
}

describe('OperatorOrders', () => {
  it('hold over restarts until they are taken back', async () => {
    await using folder = await createTestFolder();
    const { orders, changes } = await open(folder.path);
    expect(orders).toMatchObject({ cordoned: false, pinned: [], forbidden: [] });
    await Promise.all([orders.cordon(true), orders.pin(A), orders.pin(A), orders.forbid(B)]);
    expect(changes()).toBe(4);
    const again = await open(folder.path);
    expect(again.orders).toMatchObject({ cordoned: true, pinned: [A], forbidden: [B] });
    await again.orders.cordon(false);
    await again.orders.unpin(A);
    await again.orders.allow(B);
    const last = await open(folder.path);
    expect(last.orders).toMatchObject({ cordoned: false, pinned: [], forbidden: [] });
  });

  it('never pin and forbid one version: the last word holds', async () => {
    await using folder = await createTestFolder();
    const { orders } = await open(folder.path);
    await orders.pin(A);
    await orders.forbid(A);
    expect(orders).toMatchObject({ pinned: [], forbidden: [A] });
    await orders.pin(A);
    expect(orders).toMatchObject({ pinned: [A], forbidden: [] });
  });

  it('take 1024 versions of each kind, and refuse one more without forgetting any', async () => {
    await using folder = await createTestFolder();
    const { orders, file } = await open(folder.path);
    const forbidden = Array.from({ length: 1_024 }, (_, index) => cidOf(String(index)));
    await writeFile(file, JSON.stringify({ cordoned: false, pinned: [], forbidden }));
    const full = (await open(folder.path)).orders;
    await expect(full.forbid(A)).rejects.toMatchObject({ code: 'ERR_LIMIT' });
    expect(full.forbidden).toHaveLength(1_024);
    await full.allow(cidOf('0'));
    await full.forbid(A);
    expect(full.forbidden).toContain(A);
    await orders.forbid(A);
  });

  it.each(['', '{"cordoned": 1}', '[]'])('do not start from a damaged file: %s', async (text) => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'orders.json');
    await writeFile(file, text);
    await expect(OperatorOrders.open({ file, onChange: () => {} })).rejects.toMatchObject({
      code: 'ERR_STORE',
    });
    expect(await readFile(file, 'utf8')).toBe(text);
  });
});
