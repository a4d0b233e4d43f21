import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { FleetOrder } from '../../../../src/fleet/fleet-sizer.ts';
import { type HookLease, Provisioner } from '../../../../src/fleet/provisioner.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const WAIT = { timeout: 10_000, interval: 10 };

async function open(
  folder: string,
  script: string,
  minIntervalMs: number,
  lease: HookLease = { isHolder: true, stop: async () => {} },
) {
  const hook = path.join(folder, 'hook.sh');
  const told = path.join(folder, 'told');
  await writeFile(hook, `#!/bin/sh\n${script.replaceAll('TOLD', told)}\n`, { mode: 0o755 });
  let look: (order: FleetOrder) => void = () => {};
  const warn = vi.fn();
  const provisioner = new Provisioner(
    {
      order: undefined,
      onLook: (listener) => {
        look = listener;
        return () => {};
      },
    },
    { hook, minIntervalMs, joinLease: () => lease, logger: { info: () => {}, warn } },
  );
  return {
    provisioner,
    warn,
    look: (order: FleetOrder) => look(order),
    told: async () => (await readFile(told, 'utf8').catch(() => '')).trim().split('\n'),
  };
}

describe.skipIf(process.platform === 'win32')('Provisioner', () => {
  it('tells each new number once, and nothing while as many are there as are wanted', async () => {
    await using folder = await createTestFolder();
    const { provisioner, look, told } = await open(folder.path, 'echo "$1 of $2" >> TOLD', 0);
    look({ present: 2, wanted: 2 });
    look({ present: 2, wanted: 4 });
    await vi.waitFor(async () => expect(await told()).toEqual(['4 of 2']), WAIT);
    await vi.waitFor(async () => {
      look({ present: 4, wanted: 1 });
      expect(await told()).toEqual(['4 of 2', '1 of 4']);
    }, WAIT);
    look({ present: 1, wanted: 1 });
    await provisioner.stop();
    expect(await told()).toEqual(['4 of 2', '1 of 4']);
  });

  it('tells no two numbers within its pause', async () => {
    await using folder = await createTestFolder();
    const { provisioner, look, told } = await open(folder.path, 'echo "$1" >> TOLD', 60_000);
    look({ present: 1, wanted: 2 });
    await vi.waitFor(async () => expect(await told()).toEqual(['2']), WAIT);
    for (let wanted = 3; wanted < 9; wanted += 1) look({ present: 1, wanted });
    await provisioner.stop();
    expect(await told()).toEqual(['2']);
  });

  it('says in the log when nobody could be told', async () => {
    await using folder = await createTestFolder();
    const { provisioner, look, warn } = await open(folder.path, 'exit 3', 0);
    look({ present: 1, wanted: 2 });
    await vi.waitFor(() => expect(warn).toHaveBeenCalledTimes(1), WAIT);
    await provisioner.stop();
  });

  it('leaves it to the holder of the lease, until an order has stood for ten minutes', async () => {
    await using folder = await createTestFolder();
    const stop = vi.fn(async () => {});
    const lease = { isHolder: false, stop };
    const { provisioner, look, told } = await open(folder.path, 'echo "$1" >> TOLD', 0, lease);
    const clock = vi.spyOn(performance, 'now');
    const startedAtMs = 1_000_000;
    const lookAt = (ms: number, order: FleetOrder): void => {
      clock.mockReturnValueOnce(startedAtMs + ms);
      look(order);
    };
    lookAt(0, { present: 1, wanted: 3 });
    lookAt(500_000, { present: 3, wanted: 3 });
    lookAt(500_001, { present: 1, wanted: 4 });
    lookAt(1_100_000, { present: 1, wanted: 5 });
    expect(await told()).toEqual(['']);
    lookAt(1_100_001, { present: 1, wanted: 5 });
    await vi.waitFor(async () => expect(await told()).toEqual(['5']), WAIT);
    await provisioner.stop();
    expect(stop).toHaveBeenCalledOnce();
    clock.mockRestore();
  });

  it('tells at the next look once the lease is its own', async () => {
    await using folder = await createTestFolder();
    const lease = { isHolder: false, stop: async () => {} };
    const { provisioner, look, told } = await open(folder.path, 'echo "$1" >> TOLD', 0, lease);
    look({ present: 1, wanted: 2 });
    lease.isHolder = true;
    look({ present: 1, wanted: 2 });
    await vi.waitFor(async () => expect(await told()).toEqual(['2']), WAIT);
    await provisioner.stop();
  });
});
