import { link, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import pino from 'pino';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { OnnxModel } from '../../node/backend/onnx-model.ts';
import { PrepackedCache, type PrepackedCacheInit } from '../../node/backend/prepacked-cache.ts';
import { PREPACKED_MODEL, PREPACKED_WEIGHTS } from '../../node/backend/prepacked-files.ts';
import { privateBytes } from '../../node/device/process-memory.ts';
import { Tensor } from '../../protocols/tensor.ts';
import { createModelFolder, type ModelFolder } from '../support/model-folder.ts';
import { noise } from '../support/noise.ts';
import { buildModel, tensorType } from '../support/onnx-builder.ts';
import { createTestFolder } from '../support/test-folder.ts';

const SIDE = 2_048;
const WEIGHT_BYTES = SIDE * SIDE * 4;
const LIMIT_MS = 30_000;
const OPEN = new AbortController().signal;
const WAIT = { timeout: LIMIT_MS, interval: 20 };

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** One matrix of 16 MiB: small numbers, so that a product of it stays one. */
function matrixModel(): Uint8Array {
  const weights = Float32Array.from(noise(SIDE * SIDE, 1), (byte) => (byte - 128) / 2 ** 14);
  return buildModel({
    inputs: [{ name: 'x', type: tensorType('FP32', ['n', SIDE]) }],
    outputs: [{ name: 'y', type: tensorType('FP32', ['n', SIDE]) }],
    initializers: [
      { name: 'w', datatype: 'FP32', shape: [SIDE, SIDE], data: new Uint8Array(weights.buffer) },
    ],
    nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
  });
}

const MODEL = matrixModel();

async function prepare(settings: Partial<PrepackedCacheInit> = {}) {
  const made: ModelFolder = await createModelFolder(MODEL);
  const work = await createTestFolder();
  const folder = path.join(work.path, 'derived');
  const log: string[] = [];
  const logger = pino({ base: null }, { write: (line: string) => log.push(line) });
  const cache = new PrepackedCache({
    ...{ folder, logger, minBytes: 0, hasRoom: async () => true, reserve: async () => () => {} },
    ...settings,
  });
  const workDir = path.join(work.path, 'run');
  const backend = createOnnxBackend({ threads: 1, workDir, prepackedCache: cache });
  cleanups.push(
    async () => work[Symbol.asyncDispose](),
    async () => made[Symbol.asyncDispose](),
    async () => backend.stop(),
  );
  const load = async (derived: boolean): Promise<OnnxModel> => {
    const model = await backend.load(made.files, { providers: ['cpu'], derived });
    if (!(model instanceof OnnxModel)) throw new Error('not a model of the ONNX backend');
    return model;
  };
  return { backend, cache, folder, workDir, files: made.files, load, log };
}

const row = () => [
  { name: 'x', tensor: Tensor.from('FP32', [1, SIDE], Float32Array.from(noise(SIDE, 2))) },
];

async function answer(model: OnnxModel): Promise<readonly unknown[]> {
  const { outputs } = await model.run(row(), { limitMs: LIMIT_MS });
  return outputs[0]?.tensor.toArray() ?? [];
}

/** The only form of the only version. */
async function onlyForm(folder: string): Promise<string> {
  const [version = ''] = await readdir(folder);
  const kinds = await readdir(path.join(folder, version));
  expect(kinds).toHaveLength(1);
  return path.join(folder, version, kinds[0] ?? '');
}

describe('A model loaded in its prepacked form', () => {
  test('answers as from its files, and keeps nothing of its making but the form', async () => {
    const { load, folder, workDir } = await prepare();
    const plain = await load(false);
    const expected = await answer(plain);
    const [first, second] = [await load(true), await load(true)];
    expect(await answer(first)).toEqual(expected);
    expect(await answer(second)).toEqual(expected);
    expect(first.mappedBytes).toBeGreaterThanOrEqual(WEIGHT_BYTES);
    expect(plain.mappedBytes).toBe(0);
    // The folder of the process that made it is gone, those of the three that serve are there.
    expect(await readdir(workDir)).toHaveLength(3);
    expect((await readdir(await onlyForm(folder))).toSorted()).toEqual([
      PREPACKED_MODEL,
      PREPACKED_WEIGHTS,
    ]);
  });

  test.skipIf(process.platform !== 'linux')(
    'has its weights in memory once for all processes (needs /proc)',
    async () => {
      const { load } = await prepare();
      const plain = await load(false);
      await load(true);
      const second = await load(true);
      for (const model of [plain, second]) await answer(model);
      const [own = 0, shared = 0] = [plain, second].map(
        ({ pid }) => privateBytes(pid) ?? Number.NaN,
      );
      // What a heap has grown by for other reasons differs from process to process.
      expect(own - shared).toBeGreaterThan(WEIGHT_BYTES / 2);
    },
  );

  test('is started again in it, and from its files once it has left the disk', async () => {
    const { load, folder } = await prepare();
    const model = await load(true);
    const expected = await answer(model);
    const states: string[] = [];
    model.onStateChange((state) => states.push(state));
    process.kill(model.pid ?? 0, 'SIGKILL');
    await vi.waitFor(() => expect(states).toEqual(['restarting', 'ready']), WAIT);
    expect(await answer(model)).toEqual(expected);
    expect(model.mappedBytes).toBeGreaterThanOrEqual(WEIGHT_BYTES);
    await rm(folder, { recursive: true });
    process.kill(model.pid ?? 0, 'SIGKILL');
    await vi.waitFor(() => expect(states).toHaveLength(4), WAIT);
    expect(model.mappedBytes).toBe(0);
    expect(await answer(model)).toEqual(expected);
  });

  test('is loaded from its files where the form on the disk is damaged', async () => {
    const { load, folder } = await prepare();
    const expected = await answer(await load(true));
    await writeFile(path.join(await onlyForm(folder), PREPACKED_MODEL), 'not a model');
    const model = await load(true);
    expect(model.mappedBytes).toBe(0);
    expect(await answer(model)).toEqual(expected);
  });

  test('is made once, by whoever is first, and found by the next process of the node', async () => {
    const { load, folder, log } = await prepare();
    await Promise.all([load(true), load(true)]);
    const made = () => log.filter((line) => line.includes('prepacked form made')).length;
    expect(made()).toBe(1);
    const { mtimeMs } = await stat(path.join(await onlyForm(folder), PREPACKED_WEIGHTS));
    await load(true);
    expect(made()).toBe(1);
    expect((await stat(path.join(await onlyForm(folder), PREPACKED_WEIGHTS))).mtimeMs).toBe(
      mtimeMs,
    );
  });
});

describe('PrepackedCache', () => {
  test('leaves who waits with the files when the one it was made for gives up, and makes it for the next', async () => {
    const { cache, files, load } = await prepare();
    const leaving = new AbortController();
    const reason = new TypeError('not wanted any more');
    const begun = Promise.withResolvers<void>();
    const make = vi.fn(
      async () =>
        new Promise<string>((_, reject) => {
          leaving.signal.addEventListener('abort', () => reject(reason));
          begun.resolve();
        }),
    );
    const optimization = undefined;
    const outcome = Promise.allSettled([
      cache.of(files, { optimization, signal: leaving.signal, make }),
      cache.of(files, { optimization, signal: OPEN, make }),
    ]);
    await begun.promise;
    leaving.abort(reason);
    expect(await outcome).toMatchObject([
      { status: 'rejected', reason },
      { status: 'fulfilled', value: undefined },
    ]);
    expect(make).toHaveBeenCalledOnce();
    expect((await load(true)).mappedBytes).toBeGreaterThanOrEqual(WEIGHT_BYTES);
  });

  test('makes nothing of a small model, nor where disk or memory have no room', async () => {
    const without = [
      { minBytes: 2 ** 30 },
      { hasRoom: async () => false },
      { reserve: async () => undefined },
    ];
    for (const settings of without) {
      const { load, folder } = await prepare(settings);
      expect((await load(true)).mappedBytes).toBe(0);
      await expect(readdir(folder)).rejects.toMatchObject({ code: 'ENOENT' });
    }
  });

  test('asks for two and a half times the files on the disk and three times in memory, which it gives back', async () => {
    const asked: number[] = [];
    const release = vi.fn();
    const { load, files } = await prepare({
      hasRoom: async (bytes) => asked.push(bytes) > 0,
      reserve: async (_, bytes) => (asked.push(bytes), release),
    });
    await load(true);
    const { size } = await stat(path.join(files.directory, files.entry));
    expect(asked).toEqual([size * 2.5, size * 3]);
    expect(release).toHaveBeenCalledOnce();
  });

  test('does not make again what was refused, and takes it off the disk', async () => {
    const { backend, files, load, folder } = await prepare();
    await (await load(true)).unload();
    await backend.refuseDerived?.(files.cid, 'answers differ');
    expect(await readdir(folder)).toEqual([]);
    expect((await load(true)).mappedBytes).toBe(0);
    expect(await readdir(folder)).toEqual([]);
  });

  test('keeps the form of one kind: of another optimization, runtime or processor it goes', async () => {
    const { cache, files, load, folder } = await prepare();
    await (await load(true)).unload();
    const before = await onlyForm(folder);
    const make = async (): Promise<string> => {
      const made = await mkdtemp(path.join(files.directory, '..', 'made-'));
      for (const name of [PREPACKED_MODEL, PREPACKED_WEIGHTS]) {
        await writeFile(path.join(made, name), name);
      }
      return made;
    };
    expect(await cache.of(files, { optimization: 'basic', signal: OPEN, make })).toMatchObject({
      weightBytes: 11,
    });
    expect(await onlyForm(folder)).not.toBe(before);
  });

  test.each([
    ['a file is missing', async (made: string) => writeFile(path.join(made, PREPACKED_MODEL), 'x')],
    [
      'a file is a symbolic link',
      async (made: string) => {
        await writeFile(path.join(made, PREPACKED_MODEL), 'x');
        await symlink('/etc/passwd', path.join(made, PREPACKED_WEIGHTS));
      },
    ],
    [
      'a file has another name elsewhere',
      async (made: string) => {
        await writeFile(path.join(made, PREPACKED_MODEL), 'x');
        await writeFile(path.join(made, 'other'), 'x');
        await link(path.join(made, 'other'), path.join(made, PREPACKED_WEIGHTS));
      },
    ],
    [
      'a file is a folder',
      async (made: string) => {
        await writeFile(path.join(made, PREPACKED_MODEL), 'x');
        await mkdir(path.join(made, PREPACKED_WEIGHTS));
      },
    ],
    [
      'they are too large',
      async (made: string) => {
        await writeFile(path.join(made, PREPACKED_MODEL), 'x');
        await writeFile(path.join(made, PREPACKED_WEIGHTS), new Uint8Array(3 * 2 ** 24));
      },
    ],
  ])('takes nothing over when %s', async (_, leave) => {
    const { cache, files, folder } = await prepare();
    let made = '';
    const form = await cache.of(files, {
      optimization: undefined,
      signal: OPEN,
      make: async () => {
        made = await mkdtemp(path.join(files.directory, '..', 'made-'));
        await leave(made);
        return made;
      },
    });
    expect(form).toBeUndefined();
    expect(await readdir(folder)).toEqual([]);
    await expect(stat(made)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
