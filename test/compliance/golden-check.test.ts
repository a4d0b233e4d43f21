import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { InferenceBackend, LoadedModel } from '../../node/backend/backend.ts';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { OnnxModel } from '../../node/backend/onnx-model.ts';
import { checkGolden } from '../../node/golden/golden-check.ts';
import { createModelFolder } from '../support/model-folder.ts';
import { addModel } from '../support/models.ts';
import { buildModel, type ModelInit } from '../support/onnx-builder.ts';
import { refusal } from '../support/refusal.ts';
import { createTestFolder } from '../support/test-folder.ts';

const DIVIDE: ModelInit = {
  inputs: ['a', 'b'].map((name) => ({ name, datatype: 'INT32' as const, shape: ['n'] })),
  outputs: [{ name: 'quotient', datatype: 'INT32', shape: ['n'] }],
  nodes: [{ op: 'Div', inputs: ['a', 'b'], outputs: ['quotient'] }],
};

const CPU = { providers: ['cpu'] };

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function prepare(model: Uint8Array, cases: readonly object[]) {
  const folder = await createModelFolder(model);
  const work = await createTestFolder();
  const workDir = path.join(work.path, 'run');
  const backend = createOnnxBackend({ threads: 1, workDir });
  const loaded: LoadedModel[] = [];
  const watched: InferenceBackend = {
    providers: (options) => backend.providers(options),
    stop: () => backend.stop(),
    load: async (files, options) => {
      const model = await backend.load(files, options);
      loaded.push(model);
      return model;
    },
  };
  cleanups.push(
    async () => work[Symbol.asyncDispose](),
    async () => folder[Symbol.asyncDispose](),
    async () => backend.stop(),
  );
  const { files } = folder;
  await writeFile(path.join(files.directory, 'golden.json'), JSON.stringify({ cases }));
  const check = () =>
    checkGolden(watched, files, { file: 'golden.json', tolerance: undefined }, CPU);
  return { check, loaded, workDir };
}

const sum = (data: readonly (number | string)[], expected: readonly (number | string)[]) => ({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data }],
  outputs: [{ name: 'sum', datatype: 'FP32', shape: [1, 4], data: expected }],
});

describe('checkGolden, with ONNX Runtime,', () => {
  it('passes right answers, NaN for NaN too, and leaves no process behind', async () => {
    const { check, loaded, workDir } = await prepare(addModel(1), [
      sum([1, 2, 3, 4], [2, 3.0009, 4, 5]),
      sum(['NaN', 'Infinity', 0, -1], ['NaN', 'Infinity', 1, 0]),
    ]);
    await check();
    expect(loaded.map(({ state }) => state)).toEqual(['unloaded']);
    expect(loaded[0]).toBeInstanceOf(OnnxModel);
    expect(await readdir(workDir)).toEqual([]);
  });

  it('refuses a wrong answer, saying where, and leaves no process behind', async () => {
    const { check, loaded } = await prepare(addModel(1), [
      sum([1, 2, 3, 4], [2, 3, 4, 5]),
      sum([1, 2, 3, 4], [2, 3, 4, 5.2]),
    ]);
    await expect(check()).rejects.toEqual(
      refusal(
        'ERR_INVALID_MODEL',
        "golden vector 1 of golden.json on cpu: element 3 of output 'sum' is 5, expected 5.2 within 0.001 absolute and 0.01 relative",
      ),
    );
    expect(loaded.map(({ state }) => state)).toEqual(['unloaded']);
  });

  it('refuses an answer of another shape than the vector has', async () => {
    const { check } = await prepare(addModel(1), [
      {
        ...sum([1, 2, 3, 4], [2, 3, 4, 5]),
        outputs: [{ name: 'sum', datatype: 'FP32', shape: [4], data: [2, 3, 4, 5] }],
      },
    ]);
    await expect(check()).rejects.toThrow("output 'sum' is FP32[1, 4], expected FP32[4]");
  });

  it('says of a vector that crashes the model that its process died, and lives', async () => {
    const tensor = (name: string, data: number) => ({
      name,
      datatype: 'INT32',
      shape: [1],
      data: [data],
    });
    const { check, loaded } = await prepare(buildModel(DIVIDE), [
      { inputs: [tensor('a', -(2 ** 31)), tensor('b', -1)], outputs: [tensor('quotient', 0)] },
    ]);
    await expect(check()).rejects.toMatchObject({
      code: 'ERR_EXECUTION',
      message: expect.stringContaining('SIGFPE') as unknown,
    });
    expect(loaded.map(({ state }) => state)).toEqual(['unloaded']);
  });
});
