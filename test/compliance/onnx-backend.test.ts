import { spawn } from 'node:child_process';
import { readdir, readFile, readlink, symlink } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { hostIsolation } from '../../node/backend/isolation.ts';
import { createOnnxBackend, type OnnxBackendInit } from '../../node/backend/onnx-backend.ts';
import { OnnxModel } from '../../node/backend/onnx-model.ts';
import { Tensor } from '../../protocols/tensor.ts';
import { ENDLESS_TRIPS, echoModel, LOOP_MODEL } from '../support/echo-model.ts';
import { createModelFolder } from '../support/model-folder.ts';
import { encodeElements, type ModelInit } from '../support/onnx-builder.ts';
import { present } from '../support/present.ts';
import { createTestFolder } from '../support/test-folder.ts';

const { confine } = await hostIsolation();

const LIMIT_MS = 20_000;
const WAIT = { timeout: 10_000, interval: 20 };

const SMALL = echoModel({ x: { datatype: 'FP32', shape: ['n'] } });

/** `y = x` expanded to `shape`: as much memory as the caller likes. */
const EXPAND: ModelInit = {
  inputs: [
    { name: 'x', datatype: 'FP32', shape: [] },
    { name: 'shape', datatype: 'INT64', shape: ['rank'] },
  ],
  outputs: [{ name: 'y', datatype: 'FP32', shape: ['size'] }],
  nodes: [{ op: 'Expand', inputs: ['x', 'shape'], outputs: ['y'] }],
};

const DIVIDE: ModelInit = {
  inputs: ['a', 'b'].map((name) => ({ name, datatype: 'INT32' as const, shape: ['n'] })),
  outputs: [{ name: 'quotient', datatype: 'INT32', shape: ['n'] }],
  nodes: [{ op: 'Div', inputs: ['a', 'b'], outputs: ['quotient'] }],
};

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** A backend with a work folder of its own. */
async function prepare(init: ModelInit | Uint8Array, settings: OnnxBackendInit = {}) {
  const folder = await createModelFolder(init);
  const work = await createTestFolder();
  const workDir = path.join(work.path, 'run');
  const backend = createOnnxBackend({ threads: 1, workDir, ...settings });
  cleanups.push(
    async () => work[Symbol.asyncDispose](),
    async () => folder[Symbol.asyncDispose](),
    async () => backend.stop(),
  );
  return { backend, workDir, files: folder.files };
}

async function start(init: ModelInit, settings: OnnxBackendInit = {}) {
  const { backend, files, workDir } = await prepare(init, settings);
  const model = await backend.load(files);
  if (!(model instanceof OnnxModel)) throw new Error('not a model of the ONNX backend');
  return { backend, workDir, model };
}

function pidOf(model: OnnxModel): number {
  if (model.pid === undefined) throw new Error('the model has no process');
  return model.pid;
}

/** False for a zombie's id no less than for a living one's: whoever waits for false waits for the reaping too. */
function gone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

const ints = (name: string, values: readonly number[]) => ({
  name,
  tensor: Tensor.from('INT32', [values.length], values),
});
const loop = (value: number, trips: bigint) => [
  { name: 'x', tensor: Tensor.from('FP32', [1], [value]) },
  { name: 'trips', tensor: Tensor.from('INT64', [], [trips]) },
];
const expand = (count: bigint) => [
  { name: 'x', tensor: Tensor.from('FP32', [], [1]) },
  { name: 'shape', tensor: Tensor.from('INT64', [1], [count]) },
];

describe('OnnxModel', () => {
  test('an input that kills the process fails alone, by the signal, and the model serves again', async () => {
    const { model } = await start(DIVIDE);
    const divide = async (a: number, b: number) => {
      const { outputs } = await model.run([ints('a', [a]), ints('b', [b])], { limitMs: LIMIT_MS });
      return outputs[0]?.tensor.toArray();
    };
    const states: string[] = [];
    model.onStateChange((state, reason) => states.push(`${state}: ${reason}`));
    const [before, deadly, behind] = await Promise.allSettled([
      divide(6, 3),
      divide(-(2 ** 31), -1),
      divide(9, 3),
    ]);
    expect(before).toMatchObject({ value: [2] });
    expect(deadly).toMatchObject({
      reason: { code: 'ERR_EXECUTION', message: expect.stringContaining('SIGFPE') },
    });
    expect(behind).toMatchObject({ value: [3] });
    expect(states).toEqual(['restarting: process was killed by SIGFPE', 'ready: restarted']);
  });

  test('a model that can loop is stopped at the limit for loops, an ordinary one goes by what its caller allows', async () => {
    const { model } = await start(LOOP_MODEL, { loopLimitMs: 300 });
    await expect(model.run(loop(5, ENDLESS_TRIPS), { limitMs: LIMIT_MS })).rejects.toMatchObject({
      code: 'ERR_EXECUTION',
      details: { limitMs: 300 },
    });
    await expect(model.run(loop(5, 3n), { limitMs: LIMIT_MS })).resolves.toBeDefined();
    const { model: plain } = await start(EXPAND, { loopLimitMs: 1 });
    await expect(plain.run(expand(30_000_000n), { limitMs: LIMIT_MS })).resolves.toBeDefined();
  });

  test('a model that can loop is refused where the owner wants none, an ordinary one is not', async () => {
    await expect(start(LOOP_MODEL, { loopLimitMs: 0 })).rejects.toMatchObject({
      code: 'ERR_INVALID_MODEL',
      message: expect.stringContaining("uses operator 'Loop', which may never end"),
    });
    await expect(start(SMALL, { loopLimitMs: 0 })).resolves.toBeDefined();
  });

  test('a run is tried once more when its process was killed from outside', async () => {
    const { model } = await start(LOOP_MODEL);
    const run = model.run(loop(5, 300_000n), { limitMs: LIMIT_MS });
    process.kill(pidOf(model), 'SIGKILL');
    await expect(run).resolves.toMatchObject({
      outputs: [{ tensor: Tensor.from('FP32', [1], [5]) }],
    });
  });

  test('a run is not tried a third time', async () => {
    const { model } = await start(LOOP_MODEL);
    model.onStateChange((state) => {
      if (state === 'ready') process.kill(pidOf(model), 'SIGKILL');
    });
    const run = model.run(loop(5, ENDLESS_TRIPS), { limitMs: LIMIT_MS });
    process.kill(pidOf(model), 'SIGKILL');
    await expect(run).rejects.toMatchObject({
      code: 'ERR_EXECUTION',
      message: expect.stringContaining('SIGKILL'),
    });
  });

  test('a model that dies maxCrashes times without an input is given up', async () => {
    const { model } = await start(DIVIDE, { maxCrashes: 2 });
    const kill = async () => {
      await vi.waitFor(() => expect(model.state).toBe('ready'), WAIT);
      process.kill(pidOf(model), 'SIGKILL');
    };
    const reasons: string[] = [];
    model.onStateChange((state, reason) => reasons.push(`${state}: ${reason}`));
    await kill();
    await vi.waitFor(() => expect(reasons).toContain('ready: restarted'), WAIT);
    await kill();
    await vi.waitFor(() => expect(model.state).toBe('failed'), WAIT);
    expect(reasons.at(-1)).toBe(
      'failed: 2 crashes in a row, the last: process was killed by SIGKILL',
    );
    await expect(
      model.run([ints('a', [6]), ints('b', [3])], { limitMs: LIMIT_MS }),
    ).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  test('a model that has answered is not given up for inputs that kill it, however many', async () => {
    const { model } = await start(DIVIDE, { maxCrashes: 1 });
    const divide = async (a: number, b: number) =>
      model.run([ints('a', [a]), ints('b', [b])], { limitMs: LIMIT_MS });
    await divide(6, 3);
    for (let round = 0; round < 3; round += 1) {
      await expect(divide(-(2 ** 31), -1)).rejects.toMatchObject({ code: 'ERR_EXECUTION' });
    }
    await expect(divide(9, 3)).resolves.toMatchObject({ executeMs: expect.any(Number) });
  });

  test('a run past the memory bound fails, with both numbers, and the model serves again', async () => {
    const maxMemoryBytes = 400 * 1024 * 1024;
    const { model } = await start(EXPAND, { maxMemoryBytes });
    await expect(model.run(expand(250_000_000n), { limitMs: LIMIT_MS })).rejects.toMatchObject({
      code: 'ERR_EXECUTION',
      message: expect.stringMatching(/stopped at \d{9,} bytes of memory.*419430400/),
    });
    await expect(model.run(expand(2n), { limitMs: LIMIT_MS })).resolves.toBeDefined();
  });

  test('outputs as large as the bound pass, one element more gives ERR_LIMIT', async () => {
    const { model } = await start(EXPAND, { maxResponseBytes: 4_000 });
    await expect(model.run(expand(1_000n), { limitMs: LIMIT_MS })).resolves.toBeDefined();
    await expect(model.run(expand(1_001n), { limitMs: LIMIT_MS })).rejects.toMatchObject({
      code: 'ERR_LIMIT',
      message: expect.stringContaining('[1001]'),
    });
    expect(model.state).toBe('ready');
  });

  test('large tensors pass whole in both directions', async () => {
    const { model } = await start(SMALL);
    const numbers = Float32Array.from({ length: 5_000_000 }, (_, index) => index);
    const tensor = Tensor.from('FP32', [numbers.length], numbers);
    const { outputs } = await model.run([{ name: 'x', tensor }], { limitMs: LIMIT_MS });
    expect(Buffer.compare(outputs[0]?.tensor.bytes ?? Buffer.of(), tensor.bytes)).toBe(0);
  });

  test('text with a NUL is refused, for the runtime would cut it there', async () => {
    const { model } = await start(echoModel({ s: { datatype: 'BYTES', shape: [2] } }));
    const tensor = Tensor.from('BYTES', [2], ['fine', 'a\0b']);
    await expect(model.run([{ name: 's', tensor }], { limitMs: LIMIT_MS })).rejects.toMatchObject({
      code: 'ERR_INVALID_INPUT',
      message: expect.stringMatching(/'s': element 1/),
    });
  });
});

describe('ModelProcess', () => {
  test('it is gone with its folder when the model is unloaded, and leaves no zombie', async () => {
    const { model, workDir } = await start(SMALL);
    const pid = pidOf(model);
    expect(await readdir(workDir)).toHaveLength(1);
    expect(model.memoryBytes).toBeGreaterThan(10 * 1024 * 1024);
    await model.unload();
    expect(gone(pid)).toBe(true);
    expect(await readdir(workDir)).toEqual([]);
    expect(model.memoryBytes).toBeNull();
  });

  test('it is gone with the folders of the backend when that stops', async () => {
    const { backend, model, workDir } = await start(SMALL);
    const pid = pidOf(model);
    await backend.stop();
    expect(gone(pid)).toBe(true);
    await expect(readdir(workDir)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test.runIf(process.platform === 'linux')(
    'it sees an empty folder of its own and, of the environment, nothing it does not need',
    async () => {
      vi.stubEnv('SWARM_TEST_SECRET', 'hunter2');
      onTestFinished(() => {
        vi.unstubAllEnvs();
      });
      const { model, workDir } = await start(SMALL);
      const proc = `/proc/${pidOf(model)}`;
      const environment = (await readFile(`${proc}/environ`, 'latin1')).split('\0').filter(Boolean);
      const names = environment.map((line) => line.split('=')[0]);
      expect(names).not.toContain('SWARM_TEST_SECRET');
      expect(names.filter((name) => name?.startsWith('npm_'))).toEqual([]);
      const directory = path.join(workDir, present((await readdir(workDir))[0]));
      // Where it has a root of its own that lies over another folder, as seen from here.
      expect((await readlink(`${proc}/cwd`)).endsWith(directory)).toBe(true);
      expect(environment).toContain(`HOME=${directory}`);
      expect(await readdir(directory)).toEqual([]);
    },
  );

  test('signals that go to the whole group do not end it', async () => {
    const { model } = await start(SMALL);
    const pid = pidOf(model);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pid, signal);
    const x = { name: 'x', tensor: Tensor.from('FP32', [1], [1]) };
    await expect(model.run([x], { limitMs: LIMIT_MS })).resolves.toBeDefined();
    expect(model.pid).toBe(pid);
  });

  test.each(['SIGKILL', 'SIGTERM'] as const)(
    'it ends, in the middle of an endless run, when its parent dies of %s',
    async (signal) => {
      const { files, workDir } = await prepare(LOOP_MODEL);
      const program = fileURLToPath(new URL('../support/backend-parent.ts', import.meta.url));
      const flags = ['--conditions=swarm-source', '--no-warnings'];
      const parent = spawn(process.execPath, [...flags, program, files.directory, workDir], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      cleanups.push(async () => parent.kill('SIGKILL'));
      let pid = 0;
      for await (const line of createInterface({ input: parent.stdout })) {
        pid = Number(line);
        break;
      }
      expect(gone(pid)).toBe(false);
      parent.kill(signal);
      await vi.waitFor(() => expect(gone(pid)).toBe(true), WAIT);
      // The watchdog's last act, where the folder is not mounted; what it leaves the next backend on this folder removes.
      const left = confine === undefined ? 0 : 1;
      await vi.waitFor(async () => expect(await readdir(workDir)).toHaveLength(left), WAIT);
    },
  );
});

describe('OnnxBackend', () => {
  const weights = encodeElements('FP32', [10, 20]);
  const external: ModelInit = {
    inputs: [{ name: 'x', datatype: 'FP32', shape: [2] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [2] }],
    nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
    initializers: [
      { name: 'w', datatype: 'FP32', shape: [2], external: { location: 'weights.bin' } },
    ],
  };

  const loadExternal = async (beside: Record<string, Uint8Array>, link?: string) => {
    const folder = await createModelFolder(external, beside);
    cleanups.push(async () => folder[Symbol.asyncDispose]());
    if (link !== undefined) await symlink(link, path.join(folder.files.directory, 'weights.bin'));
    const { backend } = await prepare(SMALL);
    return backend.load(folder.files);
  };

  test('external data is read from the folder of the model', async () => {
    const model = await loadExternal({ 'weights.bin': weights });
    const x = { name: 'x', tensor: Tensor.from('FP32', [2], [1, 2]) };
    const { outputs } = await model.run([x], { limitMs: LIMIT_MS });
    expect(outputs[0]?.tensor.toArray()).toEqual([11, 22]);
  });

  test('external data that is short, absent or a link is refused with the name of the file', async () => {
    const refusal = {
      code: 'ERR_INVALID_MODEL',
      message: expect.stringContaining("'weights.bin'"),
    };
    await expect(loadExternal({ 'weights.bin': weights.subarray(1) })).rejects.toMatchObject(
      refusal,
    );
    await expect(loadExternal({})).rejects.toMatchObject(refusal);
    await expect(loadExternal({}, '/etc/hostname')).rejects.toMatchObject(refusal);
  });

  test('a file name that leads elsewhere is refused before any process starts', async () => {
    const { backend, files, workDir } = await prepare(SMALL);
    for (const entry of ['../model.onnx', '/etc/passwd', '..\\model.onnx', 'a/b.onnx']) {
      await expect(backend.load({ ...files, entry })).rejects.toMatchObject({
        code: 'ERR_INVALID_MODEL',
        message: expect.stringContaining('not a plain file name'),
      });
    }
    await expect(readdir(workDir)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('a provider that does not work here makes way for the next', async () => {
    const { model } = await start(SMALL, { providers: ['no-such-provider', 'cpu'] });
    expect(model.provider).toBe('cpu');
  });

  test('providers may be found out at the first load', async () => {
    const asked: unknown[] = [];
    const { model } = await start(SMALL, {
      providers: async ({ signal }) => {
        asked.push(signal?.aborted);
        return ['cpu'];
      },
    });
    expect(model.provider).toBe('cpu');
    expect(asked).toEqual([false]);
  });

  test('a load that takes too long gives ERR_DEADLINE and leaves no process', async () => {
    const { backend, files, workDir } = await prepare(SMALL, { loadTimeoutMs: 1 });
    await expect(backend.load(files)).rejects.toMatchObject({
      code: 'ERR_DEADLINE',
      details: { phase: 'start' },
    });
    expect(await readdir(workDir)).toEqual([]);
  });

  test('a load that passes the memory bound gives ERR_LIMIT', async () => {
    const { backend, files } = await prepare(SMALL, { maxMemoryBytes: 1024 * 1024 });
    await expect(backend.load(files)).rejects.toMatchObject({
      code: 'ERR_LIMIT',
      message: expect.stringContaining('expected at most 1048576'),
    });
  });

  test('a load that is aborted midway rejects with the reason and leaves no process', async () => {
    const { backend, files, workDir } = await prepare(SMALL);
    const abort = new AbortController();
    const load = backend.load(files, { signal: abort.signal });
    await vi.waitFor(async () => expect(await readdir(workDir)).toHaveLength(1), WAIT);
    const reason = new Error('not wanted any more');
    abort.abort(reason);
    await expect(load).rejects.toBe(reason);
    expect(await readdir(workDir)).toEqual([]);
  });

  test('a work folder that a killed backend left is emptied', async () => {
    const { backend, files, workDir } = await prepare(SMALL);
    const first = await backend.load(files);
    const second = createOnnxBackend({ threads: 1, workDir });
    await first.unload();
    const model = await second.load(files);
    expect(await readdir(workDir)).toHaveLength(1);
    await model.unload();
    await second.stop();
  });
});
