import { execFile } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { findIsolation, hostIsolation } from '../../node/backend/isolation.ts';
import { createOnnxBackend, type OnnxBackendInit } from '../../node/backend/onnx-backend.ts';
import { OnnxModel } from '../../node/backend/onnx-model.ts';
import { createModelFolder } from '../support/model-folder.ts';
import { addModel } from '../support/models.ts';
import { createTestFolder } from '../support/test-folder.ts';

const { kind, confine } = await hostIsolation();

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function folder(): Promise<string> {
  const made = await createTestFolder();
  cleanups.push(async () => made[Symbol.asyncDispose]());
  return made.path;
}

/**
 * The folder of `/proc` of a process that holds a model.
 *
 * @param directory takes the model's file; by default one of the test's own
 */
async function start(settings: OnnxBackendInit = {}, directory?: string): Promise<string> {
  const files = await createModelFolder(addModel());
  const backend = createOnnxBackend({ threads: 1, ...settings });
  cleanups.push(
    async () => files[Symbol.asyncDispose](),
    async () => backend.stop(),
  );
  if (directory !== undefined) {
    await copyFile(
      path.join(files.files.directory, files.files.entry),
      path.join(directory, files.files.entry),
    );
  }
  const model = await backend.load({
    ...files.files,
    ...(directory === undefined ? {} : { directory }),
  });
  if (!(model instanceof OnnxModel)) throw new Error('not a model of the ONNX backend');
  return `/proc/${model.pid}`;
}

/** What its descriptors are: pipes and sockets by number, the system's own by kind, files by path. */
async function descriptors(proc: string): Promise<ReadonlyMap<number, string>> {
  const names = await readdir(`${proc}/fd`);
  const entries = names.map(
    async (name) => [Number(name), await readlink(`${proc}/fd/${name}`)] as const,
  );
  return new Map(await Promise.all(entries));
}

describe.runIf(process.platform === 'linux')("A model's process", () => {
  test('has one pipe to the node, one for its last words, and no other socket or file of its', async () => {
    const found = await descriptors(await start());
    const outward = [...found].filter(([, target]) => /^(socket:|\/)/.test(target));
    expect(outward.map(([fd, target]) => [fd, target.replace(/:.*/, '')])).toEqual(
      expect.arrayContaining([
        [0, '/dev/null'],
        [1, '/dev/null'],
        [2, 'socket'],
        [3, 'socket'],
      ]),
    );
    const others = outward.filter(([fd]) => fd > 3).map(([, target]) => target);
    // V8 and libuv keep some of the system's pseudo files; the pair of sockets is libuv's own.
    // The root of its own lies over a folder of the kernel's, as seen from here.
    expect(
      others.filter((target) => !/^(\/sys\/kernel)?\/(dev|proc)\/|^socket:/.test(target)),
    ).toEqual([]);
  });

  test('yields to others: its priority is lower than that of the node', async () => {
    const proc = await start({ niceness: 7 });
    expect(os.getPriority(Number(path.basename(proc)))).toBe(7);
  });
});

describe.runIf(kind === 'namespaces')("A model's process on a host that can shut it in", () => {
  test('has a network, users and mounts of its own, and in that network nothing', async () => {
    const proc = await start();
    for (const name of ['net', 'user', 'mnt', 'ipc']) {
      expect(await readlink(`${proc}/ns/${name}`)).not.toBe(
        await readlink(`/proc/self/ns/${name}`),
      );
    }
    // No interface is up, not even the loopback: a route would be listed.
    expect((await readFile(`${proc}/net/route`, 'utf8')).trim().split('\n')).toHaveLength(1);
  });

  test('has no privileges, and cannot gain any', async () => {
    const status = await readFile(`${await start()}/status`, 'utf8');
    expect(status).toMatch(/^CapPrm:\t0+$/m);
    expect(status).toMatch(/^CapBnd:\t0+$/m);
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  });

  test("finds the node's secrets empty where it sees the host's files, and no such files where it does not", async () => {
    const key = path.join(await folder(), 'node.key');
    await writeFile(key, 'hunter2');
    const { confine, ...onlyHidden } = await findIsolation({ hidden: [key] });
    const proc = await start({ isolation: onlyHidden });
    expect(await readFile(`${proc}/root${key}`, 'utf8')).toBe('');
    if (confine === undefined) return;
    const confined = await start({ isolation: { ...onlyHidden, confine } });
    await expect(readFile(`${confined}/root${key}`)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test.runIf(confine !== undefined)(
    "sees of a node's data its own model's folder, which it cannot write to, and its own empty one",
    async () => {
      const data = await folder();
      const versions = path.join(data, 'store', 'versions');
      for (const name of ['one', 'two'])
        await mkdir(path.join(versions, name), { recursive: true });
      await writeFile(path.join(data, 'node.key'), 'hunter2');
      const isolation = await findIsolation({ dataDir: data });
      const proc = await start(
        { isolation, workDir: path.join(data, 'run') },
        path.join(versions, 'one'),
      );
      const inside = `${proc}/root${data}`;
      expect((await readdir(inside)).toSorted()).toEqual(['run', 'store']);
      expect(await readdir(path.join(inside, 'store', 'versions'))).toEqual(['one']);
      expect(await readdir(path.join(inside, 'run'))).toHaveLength(1);
      expect(await readdir(data)).not.toContain('root');
      const mounts = (await readFile(`${proc}/mounts`, 'utf8')).split('\n');
      const writable = mounts.filter((mount) => / rw[, ]/.test(mount) && !/ \/dev\//.test(mount));
      const places = writable.map((mount) => mount.split(' ')[1] ?? '');
      expect(places.filter((place) => place !== proc).map((place) => path.dirname(place))).toEqual([
        path.join(data, 'run'),
      ]);
    },
  );

  test.runIf(confine !== undefined)(
    "can write of /proc what is its own, as CUDA's driver must, and nothing of the kernel's or of others",
    async () => {
      const launcher = confine?.({ folder: await folder(), writable: [], readable: [] }) ?? [];
      const script = `
        echo named > /proc/self/task/$$/comm || exit 1
        for file in "$@"; do ! (echo > "$file") 2> /dev/null || exit 2; done
      `;
      const forbidden = [
        '/proc/1/comm',
        '/proc/sys/kernel/core_pattern',
        '/proc/sys/vm/drop_caches',
      ];
      const [command = '', ...args] = [...launcher, '/bin/sh', '-c', script, 'write', ...forbidden];
      await expect(promisify(execFile)(command, args, { env: {} })).resolves.toBeDefined();
    },
  );

  test('has as much of all that as the owner leaves on', async () => {
    const proc = await start({ isolation: { kind: 'process', launcher: [] } });
    expect(await readlink(`${proc}/ns/net`)).toBe(await readlink('/proc/self/ns/net'));
  });
});
