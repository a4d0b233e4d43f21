import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { controlAddress } from '../../../../../node/control/control-address.ts';
import { ControlServer } from '../../../../../node/control/control-server.ts';
import { storeVerbs, VersionStore } from '../../../../../node/index.ts';
import type { CommandOptions } from '../../../../../src/cli/command-spec.ts';
import {
  runStoreCollect,
  runStoreList,
  runStorePin,
  runStoreUnpin,
  runStoreVerify,
} from '../../../../../src/cli/commands/store.ts';
import { noise } from '../../../../support/noise.ts';
import { present } from '../../../../support/present.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';
import { createVersionFixture } from '../../../../support/version-fixture.ts';
import { writeVersion } from '../../../../support/version-writer.ts';
import { createTestContext, events, type Written } from '../command-host.ts';

const version = createVersionFixture({ files: { 'model.onnx': noise(5_000, 1) } });
const { cid } = version;

type Command = (
  context: Awaited<ReturnType<typeof createTestContext>>['context'],
  options: CommandOptions,
) => Promise<number>;

describe('swarm store', () => {
  let folder: Awaited<ReturnType<typeof createTestFolder>>;
  const openStore = (): Promise<VersionStore> => VersionStore.open(path.join(folder.path, 'store'));

  const run = async (
    command: Command,
    { json = true, options = {} }: { json?: boolean; options?: CommandOptions } = {},
  ): Promise<Written & { code: number }> => {
    const { context, written } = await createTestContext({ data: folder.path }, { json });
    const code = await command(context, options);
    return { ...written, code };
  };

  beforeEach(async () => {
    folder = await createTestFolder();
    const store = await openStore();
    await writeVersion(store, version);
    await store.close();
  });
  afterEach(() => folder[Symbol.asyncDispose]());

  const all = async (): Promise<void> => {
    const listed = await run(runStoreList);
    expect(events(listed.stdout)).toMatchObject([{ event: 'version', cid, state: 'whole' }]);
    expect((await run(runStoreList, { json: false })).stdout).toContain(cid);
    expect(await run(runStoreVerify)).toMatchObject({ code: 0 });
    const pinned = await run(runStorePin, { options: { cid } });
    expect(events(pinned.stdout)).toEqual([{ event: 'pinned', cid }]);
    expect(events((await run(runStoreCollect)).stdout)).toEqual([]);
    const unpinned = await run(runStoreUnpin, { options: { cid } });
    expect(events(unpinned.stdout)).toEqual([{ event: 'unpinned', cid }]);
  };

  it('does all of it in the folder of a node that is stopped, where gc keeps what may be the last copy', async () => {
    await all();
    const { stdout } = await run(runStoreCollect);
    expect(events(stdout)).toEqual([{ event: 'kept', cid, reason: 'node stopped' }]);
    const told = await run(runStoreCollect, { json: false });
    expect(told.stdout).toMatch(/^kept {4}bafyrei\w+: who else has it is known only while/);
    expect(told.stderr).toBe('0 versions removed, 0 B freed, 1 kept\n');
    expect(events((await run(runStoreList)).stdout)).toMatchObject([{ cid }]);
  });

  it('does all of it through a node that runs', async () => {
    let holders = 0;
    const store = await VersionStore.open(path.join(folder.path, 'store'), {
      knowledge: {
        inUse: () => false,
        released: async () => true,
        current: async () => false,
        otherHolders: async () => holders,
      },
    });
    const server = await ControlServer.start({
      address: present(controlAddress(folder.path)),
      verbs: storeVerbs(store.upkeep),
      logger: pino({ level: 'silent' }),
    });
    try {
      await all();
      expect(events((await run(runStoreCollect)).stdout)).toEqual([
        { event: 'kept', cid, reason: 'last copy' },
      ]);
      holders = 1;
      expect(events((await run(runStoreCollect)).stdout)).toMatchObject([
        { event: 'removed', cid },
      ]);
      expect((await run(runStoreList, { json: false })).stderr).toBe('the store is empty\n');
    } finally {
      await server.stop();
      await store.close();
    }
  });

  it('verify names what is damaged and ends with exit code 1', async () => {
    const file = path.join(folder.path, 'store', 'versions', cid, 'model.onnx');
    const bytes = await readFile(file);
    bytes[7] = (bytes[7] ?? 0) ^ 1;
    await writeFile(file, bytes);
    const told = await run(runStoreVerify, { json: false });
    expect(told.code).toBe(1);
    expect(told.stdout).toMatch(/^damaged {2}bafyrei\w+\n {2}file 'model.onnx' hashes to /);
    expect(told.stderr).toBe(
      '1 version, 4.9 KiB, 1 damaged: fetched again when the node starts next\n',
    );
  });

  it.each([
    [
      { repair: 'done', fetchedBytes: 5_000, reloaded: true } as const,
      {
        code: 0,
        line: '  repaired: 4.9 KiB fetched, loaded again\n',
        sum: '1 damaged: 1 repaired',
      },
    ],
    [
      { repair: 'failed', reason: 'no peer has it' } as const,
      { code: 1, line: '  not repaired: no peer has it\n', sum: '1 damaged: 0 repaired' },
    ],
  ])('verify tells what a node that runs made of the damage: %o', async (outcome, told) => {
    const file = path.join(folder.path, 'store', 'versions', cid, 'model.onnx');
    await writeFile(file, '');
    const store = await openStore();
    const server = await ControlServer.start({
      address: present(controlAddress(folder.path)),
      verbs: storeVerbs(store.upkeep, async (damaged) => ({ cid: damaged, ...outcome })),
      logger: pino({ level: 'silent' }),
    });
    try {
      const { code, stdout, stderr } = await run(runStoreVerify, { json: false });
      expect(code).toBe(told.code);
      expect(stdout).toContain(told.line);
      expect(stderr).toContain(told.sum);
      expect(events((await run(runStoreVerify)).stdout)).toMatchObject([
        { event: 'verified', cid },
        { event: 'repair', cid, ...outcome },
      ]);
    } finally {
      await server.stop();
      await store.close();
    }
  });

  it('refuses with ERR_CONFIG a folder that is not of a node, and makes nothing there', async () => {
    const { context } = await createTestContext({ data: path.join(folder.path, 'no') });
    await expect(runStoreList(context)).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('holds no store, expected the data folder of a node'),
    });
  });

  it('refuses with ERR_STORE a store that another process holds and does not answer for', async () => {
    await using held = {
      store: await openStore(),
      [Symbol.asyncDispose]: () => held.store.close(),
    };
    await expect(run(runStoreList)).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringContaining('is in use by another process'),
    });
  });

  it('refuses with ERR_INVALID_INPUT what is no CID, and with ERR_NOT_FOUND what is not here', async () => {
    await expect(run(runStorePin, { options: { cid: 'x' } })).rejects.toMatchObject({
      code: 'ERR_INVALID_INPUT',
      message: "version is 'x', expected a CID, bafyrei…",
    });
    const absent = createVersionFixture({ files: { 'model.onnx': noise(10, 2) } });
    await expect(run(runStorePin, { options: { cid: absent.cid } })).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    });
  });
});
