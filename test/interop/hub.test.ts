import { lstat, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importPackage } from '../../src/model/import/package-import.ts';
import { readTree } from '../support/file-tree.ts';
import { buildModel } from '../support/onnx-builder.ts';
import { PYTHON_PACKAGES_ABSENT, runPython } from '../support/python-tools.ts';
import { createTestFolder } from '../support/test-folder.ts';
import { startHubServer } from './hub-server.ts';

const REPOSITORY = 'acme/vit-tiny';
const COMMIT = '5e3b8fcb8f0e4e0c8c5e5b7d8a1d0c9b8a7f6e5d';

/** `logits [batch, 2]`, with its weights in another file where one is named. */
const classifier = (weights?: string): Uint8Array =>
  buildModel({
    inputs: [{ name: 'features', datatype: 'FP32', shape: ['batch', 3] }],
    outputs: [{ name: 'logits', datatype: 'FP32', shape: ['batch', 2] }],
    nodes: [{ op: 'MatMul', inputs: ['features', 'w'], outputs: ['logits'] }],
    initializers: [
      weights === undefined
        ? { name: 'w', datatype: 'FP32', shape: [3, 2], data: [1, 0, 0, 1, 1, 1] }
        : { name: 'w', datatype: 'FP32', shape: [3, 2], external: { location: weights } },
    ],
  });

const FILES: Readonly<Record<string, Uint8Array>> = {
  '.gitattributes': Buffer.from('*.onnx filter=lfs\n'),
  'README.md': Buffer.from('---\nlicense: apache-2.0\n---\n# Cats and dogs\n'),
  'config.json': Buffer.from(
    JSON.stringify({ model_type: 'vit', id2label: { 0: 'cat', 1: 'dog' } }),
  ),
  'onnx/model.onnx': classifier(),
  'onnx/model_fp16.onnx': classifier('model_fp16.onnx_data'),
  'onnx/model_fp16.onnx_data': new Uint8Array(24).fill(1),
  // The same bytes as another file: the cache keeps them once.
  'onnx/model_same.onnx': classifier(),
};

interface HubReading {
  readonly folder: string;
  readonly warnings: readonly string[];
  readonly repositories: readonly {
    readonly name: string;
    readonly path: string;
    readonly files: readonly string[];
  }[];
}

describe.skipIf(PYTHON_PACKAGES_ABSENT !== undefined)(
  `The hub's own client (${PYTHON_PACKAGES_ABSENT ?? 'huggingface_hub'})`,
  () => {
    let folder: Awaited<ReturnType<typeof createTestFolder>>;
    let reading: HubReading;
    const at = (...names: string[]) => path.join(folder.path, ...names);

    beforeAll(async () => {
      folder = await createTestFolder();
      await using server = await startHubServer(REPOSITORY, COMMIT, FILES);
      reading = (await runPython('hub_download.py', {
        repository: REPOSITORY,
        endpoint: server.endpoint,
        cache: at('cache'),
      })) as HubReading;
    });
    afterAll(() => folder?.[Symbol.asyncDispose]());

    /** What is imported, without the settings made of it. */
    const imported = async (what: string, out: string, choices: object = {}) => {
      const { origin } = await importPackage(what, at(out), choices);
      const { 'swarm.json': written = '', ...files } = await readTree(at(out));
      const settings: unknown = JSON.parse(Buffer.from(written, 'base64').toString());
      return { origin, files, settings };
    };
    const filesOf = (names: Readonly<Record<string, string>>) =>
      Object.fromEntries(
        Object.entries(names).map(([name, from]) => [
          name,
          Buffer.from(FILES[from] ?? []).toString('base64'),
        ]),
      );

    test('lays out a cache of links that it finds nothing wrong with', async () => {
      expect(reading.warnings).toEqual([]);
      expect(reading.repositories).toMatchObject([
        { name: REPOSITORY, files: Object.keys(FILES).sort() },
      ]);
      expect(reading.folder).toMatch(new RegExp(`models--acme--vit-tiny/snapshots/${COMMIT}$`));
      const model = path.join(reading.folder, 'onnx/model.onnx');
      expect((await lstat(model)).isSymbolicLink()).toBe(true);
      expect(await readFile(model)).toEqual(Buffer.from(FILES['onnx/model.onnx'] ?? []));
    });

    test.each([
      ['the folder of all models', (): [string, object] => [at('cache'), { model: REPOSITORY }]],
      ['a model', (): [string, object] => [at('cache', 'models--acme--vit-tiny'), {}]],
      ['a revision', (): [string, object] => [reading.folder, {}]],
    ])('makes a cache of which %s imports as the model with its settings', async (what, how) => {
      const [location, choices] = how();
      expect(await imported(location, what, choices)).toEqual({
        origin: 'hugging-face',
        files: filesOf({
          'README.md': 'README.md',
          'config.json': 'config.json',
          'model.onnx': 'onnx/model.onnx',
        }),
        settings: {
          metadata: expect.objectContaining({
            licence: 'apache-2.0',
            source: `hf:${REPOSITORY}@${COMMIT}`,
          }) as unknown,
          classLabels: ['cat', 'dog'],
          answer: { kind: 'argmax', output: 'logits' },
        },
      });
    });

    test('makes a cache of which a variant imports with its external data', async () => {
      const { files } = await imported(reading.folder, 'fp16', { variant: 'fp16' });
      expect(files).toMatchObject(
        filesOf({
          'model_fp16.onnx': 'onnx/model_fp16.onnx',
          'model_fp16.onnx_data': 'onnx/model_fp16.onnx_data',
        }),
      );
      expect(files).not.toHaveProperty('model.onnx');
      await expect(imported(reading.folder, 'int8', { variant: 'int8' })).rejects.toMatchObject({
        code: 'ERR_NOT_FOUND',
        message: expect.stringContaining('fp16, same'),
      });
    });
  },
);
