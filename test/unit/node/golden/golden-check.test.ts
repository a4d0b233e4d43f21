import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { LoadedModel, ModelFiles } from '../../../../node/backend/backend.ts';
import { checkGolden } from '../../../../node/golden/golden-check.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import { formatGoldenFile } from '../../../../src/model/golden-file.ts';
import { echoModel } from '../../../support/echo-model.ts';
import { FakeBackend, type FakeModel } from '../../../support/fake-backend.ts';
import { createModelFolder } from '../../../support/model-folder.ts';

/** Counts how often the event loop goes round between the load of a model and the first run of it. */
class WatchedBackend extends FakeBackend {
  turnsBeforeRun: number | undefined;

  override async load(files: ModelFiles): Promise<FakeModel> {
    const model = await super.load(files);
    let turns = 0;
    const run: LoadedModel['run'] = model.run.bind(model);
    model.run = (inputs, options) => {
      this.turnsBeforeRun ??= turns;
      return run(inputs, options);
    };
    const count = (): void => {
      turns += 1;
      if (this.turnsBeforeRun === undefined) setImmediate(count);
    };
    setImmediate(count);
    return model;
  }
}

async function check(elements: number, change: (values: Float32Array) => void = () => {}) {
  await using folder = await createModelFolder(
    echoModel({ x: { datatype: 'FP32', shape: ['n'] } }),
  );
  const values = new Float32Array(elements).fill(0.123456);
  const expected = values.slice();
  change(expected);
  const [x, out] = [values, expected].map((data) => Tensor.from('FP32', [elements], data));
  if (x === undefined || out === undefined) throw new Error('two tensors were made');
  const inputs = [{ name: 'x', tensor: x }];
  const bytes = formatGoldenFile([{ inputs, outputs: [{ name: 'x-out', tensor: out }] }]);
  await writeFile(path.join(folder.files.directory, 'golden.json'), bytes);
  const backend = new WatchedBackend();
  const vectors = { file: 'golden.json', tolerance: undefined };
  await checkGolden(backend, folder.files, vectors, { providers: ['cuda'] });
  return { bytes: bytes.byteLength, turns: backend.turnsBeforeRun };
}

describe('checkGolden', () => {
  it('lets everything else go on while a large file is read', async () => {
    const { bytes, turns } = await check(200_000);
    expect(bytes).toBeGreaterThan(3 * 1024 * 1024);
    expect(turns).toBeGreaterThan(0);
  });

  it('starts no thread for a small one', async () => {
    expect(await check(100)).toMatchObject({ turns: 0 });
  });

  it.each([100, 200_000])('says of %i elements which one is wrong', async (elements) => {
    const wrong = check(elements, (values) => (values[99] = 7));
    await expect(wrong).rejects.toMatchObject({
      code: 'ERR_INVALID_MODEL',
      message:
        "golden vector 0 of golden.json on cuda: element 99 of output 'x-out' is 0.123456, expected 7 within 0.001 absolute and 0.01 relative",
      details: { file: 'golden.json', case: 0, provider: 'cuda', element: 99 },
    });
  });
});
