import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  findBundledModels,
  readBundledInput,
  readHeldoutSet,
} from '../../../../../src/cli/up/bundled-models.ts';
import { packModel } from '../../../../../src/model/package.ts';
import { refusal } from '../../../../support/refusal.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';

async function createModel(folder: string, name: string, index: string): Promise<string> {
  const inputs = path.join(folder, name, 'inputs');
  await mkdir(inputs, { recursive: true });
  const file = path.join(inputs, 'index.json');
  await writeFile(file, index);
  return file;
}

describe('findBundledModels', () => {
  it('finds models by name, skips what is none, and makes paths absolute', async () => {
    await using folder = await createTestFolder();
    await createModel(folder.path, 'b', '[{"name":"one","file":"one.png","expected":"1"}]');
    await createModel(folder.path, 'a', '[{"name":"two","file":"two.json","expected":"2"}]');
    await mkdir(path.join(folder.path, 'scripts'));
    await writeFile(path.join(folder.path, 'a', 'heldout.json'), '{}');
    expect(await findBundledModels(folder.path)).toMatchObject([
      {
        name: 'a',
        folder: path.join(folder.path, 'a', 'model'),
        heldoutFile: path.join(folder.path, 'a', 'heldout.json'),
        inputs: [{ name: 'two', file: path.join(folder.path, 'a', 'inputs', 'two.json') }],
      },
      { name: 'b', heldoutFile: undefined },
    ]);
  });

  it.each([
    ['{', /is not JSON/],
    ['{}', /expected array/],
    ['[]', />=1|at least/],
    ['[{"name":"x","file":"y"}]', /field \[0\]\.expected/],
    ['[{"name":"x","file":"y","expected":"z","extra":1}]', /extra/],
  ])('refuses the list of inputs %s and names its file', async (index, fault) => {
    await using folder = await createTestFolder();
    const file = await createModel(folder.path, 'a', index);
    const found = findBundledModels(folder.path);
    await expect(found).rejects.toEqual(refusal('ERR_INVALID_INPUT', fault));
    await expect(found).rejects.toThrow(file);
  });

  it('refuses a list of inputs that is longer than any sensible one', async () => {
    await using folder = await createTestFolder();
    await createModel(folder.path, 'a', ' '.repeat(16 * 1024 * 1024 + 1));
    await expect(findBundledModels(folder.path)).rejects.toEqual(refusal('ERR_LIMIT', /16777216/));
  });

  it('says so when there is none', async () => {
    await using folder = await createTestFolder();
    await expect(findBundledModels(folder.path)).rejects.toEqual(
      refusal('ERR_NOT_FOUND', `no bundled model is in ${folder.path}`),
    );
  });
});

describe('the bundled models', () => {
  it('are at least three, each with inputs and a held-out set that its manifest takes', async () => {
    const models = await findBundledModels();
    expect(models.length).toBeGreaterThanOrEqual(3);
    for (const model of models) {
      await using version = await packModel(model.folder, {});
      const { manifest } = version;
      expect(manifest.answer).toBeDefined();
      for (const input of model.inputs) {
        const tensors = await readBundledInput(input, manifest);
        expect(Object.keys(tensors).sort()).toEqual(manifest.inputs.map(({ name }) => name).sort());
      }
      const { inputs, expected } = await readHeldoutSet(model.heldoutFile ?? '', manifest);
      const [first] = Object.values(inputs);
      expect([model.name, first?.shape[0]]).toEqual([model.name, expected.length]);
    }
  });

  it('refuse a picture for a model that declares no preprocessing', async () => {
    const models = await findBundledModels();
    const travel = models.find(({ name }) => name === 'travel');
    await using version = await packModel(travel?.folder ?? '', {});
    const digits = models.find(({ name }) => name === 'digits')?.inputs[0];
    if (digits === undefined) throw new Error('digits has no input');
    await expect(readBundledInput(digits, version.manifest)).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', /declares no preprocessing$/),
    );
  });
});
