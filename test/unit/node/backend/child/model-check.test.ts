import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkModelFile } from '../../../../../node/backend/child/model-check.ts';
import { buildModel, type ModelInit } from '../../../../support/onnx-builder.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';

function model(external?: string): ModelInit {
  return {
    inputs: [{ name: 'x', datatype: 'FP32', shape: [2] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [2] }],
    nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
    initializers: [
      external === undefined
        ? { name: 'w', datatype: 'FP32', shape: [2], data: [1, 2] }
        : { name: 'w', datatype: 'FP32', shape: [2], external: { location: external } },
    ],
  };
}

async function check(files: Readonly<Record<string, Uint8Array>>, link?: string): Promise<void> {
  await using folder = await createTestFolder();
  for (const [name, bytes] of Object.entries(files)) {
    await writeFile(path.join(folder.path, name), bytes);
  }
  if (link !== undefined) await symlink(link, path.join(folder.path, 'w.bin'));
  await checkModelFile({ directory: folder.path, entry: 'model.onnx' });
}

const refusal = (message: RegExp) => ({
  code: 'ERR_INVALID_MODEL',
  message: expect.stringMatching(message),
});

describe('checkModelFile', () => {
  test('passes a model, with its weights inside and beside it', async () => {
    await expect(check({ 'model.onnx': buildModel(model()) })).resolves.toBeUndefined();
    const files = { 'model.onnx': buildModel(model('w.bin')), 'w.bin': new Uint8Array(8) };
    await expect(check(files)).resolves.toBeUndefined();
  });

  test('refuses what is not there or no file, by its name alone', async () => {
    await expect(check({})).rejects.toMatchObject(refusal(/^model\.onnx is not a file in the/));
    await using folder = await createTestFolder();
    await mkdir(path.join(folder.path, 'model.onnx'));
    await expect(
      checkModelFile({ directory: folder.path, entry: 'model.onnx' }),
    ).rejects.toMatchObject(refusal(/^model\.onnx is not a file in the/));
  });

  test('refuses what is no model, and operators that need another library', async () => {
    const html = { 'model.onnx': Buffer.from('<!doctype html>') };
    await expect(check(html)).rejects.toMatchObject(refusal(/^model\.onnx: .*HTML/));
    const graph = model();
    const foreign = graph.nodes.map((node) => ({ ...node, domain: 'ai.onnx.contrib' }));
    const files = { 'model.onnx': buildModel({ ...graph, nodes: foreign }) };
    await expect(check(files)).rejects.toMatchObject(refusal(/'ai\.onnx\.contrib'/));
  });

  test('refuses external data that is absent, short by a byte, elsewhere, or a link', async () => {
    const onnx = { 'model.onnx': buildModel(model('w.bin')) };
    await expect(check(onnx)).rejects.toMatchObject(refusal(/'w\.bin'/));
    await expect(check({ ...onnx, 'w.bin': new Uint8Array(7) })).rejects.toMatchObject(
      refusal(/the file has 7 bytes/),
    );
    await expect(check(onnx, '/etc/hostname')).rejects.toMatchObject(refusal(/'w\.bin'/));
    const climbing = { 'model.onnx': buildModel(model('../w.bin')) };
    await expect(check(climbing)).rejects.toMatchObject(refusal(/'\.\.\/w\.bin'/));
  });
});
