import { cp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import pino from 'pino';
import { afterAll, describe, expect, test } from 'vitest';
import type { LoadedModel } from '../../node/backend/backend.ts';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { loadVersion } from '../../node/replica/version-load.ts';
import { DEFAULT_TOLERANCE } from '../../protocols/manifest/index.ts';
import { formatGoldenFile } from '../../src/model/golden-file.ts';
import { findGpuProviders } from '../support/gpu-providers.ts';
import { checkSample } from '../support/library-samples.ts';
import { bareManifest, describeFiles } from '../support/model-folder.ts';
import {
  type LibraryModel,
  type LibraryTensors,
  libraryModels,
  libraryTensor,
  MODEL_LIBRARY,
  MODEL_LIBRARY_ABSENT,
} from '../support/model-library.ts';
import { createTestFolder } from '../support/test-folder.ts';

const GOLDEN = 'swarm-golden.json';
const LIMIT_MS = 60_000;

/** What golden vectors are compared with unless they say otherwise: GPUs multiply with 10 bits of mantissa. */
const TOLERANCE = { abs: DEFAULT_TOLERANCE.absolute, rel: DEFAULT_TOLERANCE.relative };

const { working } = await findGpuProviders();

/**
 * Real models on a provider whose kernels may be wrong: the samples are their golden vectors, so what a provider gets wrong
 * runs on the CPU, and no caller is ever answered wrong.
 */
describe.skipIf(MODEL_LIBRARY_ABSENT !== undefined).each(working)(
  `loadVersion on %s (${MODEL_LIBRARY_ABSENT ?? 'models from the library'})`,
  (provider) => {
    const backend = createOnnxBackend({ threads: 1, providers: [provider, 'cpu'] });
    const served = new Map<string, string>();
    const passedOver: string[] = [];
    afterAll(async () => {
      await backend.stop();
      const onCpu = [...served].filter(([, used]) => used !== provider).map(([name]) => name);
      console.log(
        `${provider} serves ${served.size - onCpu.length} of ${served.size} models; the CPU: ${onCpu.join(', ') || 'none'}`,
      );
      for (const line of passedOver) console.log(line);
    });

    test.each(libraryModels())('$name answers right', async (model) => {
      await using version = await prepare(model);
      const logger = pino(
        { base: null },
        { write: (line: string) => passedOver.push(`${model.name}: ${line.trim()}`) },
      );
      const options = { signal: AbortSignal.timeout(LIMIT_MS), logger };
      const before = passedOver.length;
      const loaded = await loadVersion(backend, version, options);
      try {
        served.set(model.name, loaded.provider);
        expect(passedOver.length - before).toBe(loaded.provider === provider ? 0 : 1);
        for (const sample of model.samples) {
          await checkSample(
            (inputs, outputs) => run(loaded, inputs, outputs),
            folderOf(model),
            'tolerance' in sample ? { ...sample, tolerance: TOLERANCE } : sample,
          );
        }
      } finally {
        await loaded.unload();
      }
    });

    test('most models run on the provider', () => {
      const count = [...served.values()].filter((used) => used === provider).length;
      expect(count).toBeGreaterThan(served.size / 2);
    });
  },
);

/** The model with its samples as golden vectors, in a folder of its own. */
async function prepare(model: LibraryModel) {
  const folder = folderOf(model);
  const copy = await createTestFolder();
  await cp(folder, copy.path, { recursive: true });
  const named = (tensors: LibraryTensors) =>
    Object.entries(tensors).map(([name, tensor]) => ({
      name,
      tensor: libraryTensor(folder, tensor),
    }));
  const cases = model.samples
    .filter((sample) => sample.kind === 'single')
    .map(({ inputs, outputs }) => ({
      inputs: named(inputs),
      outputs: named(outputs),
    }));
  await writeFile(path.join(copy.path, GOLDEN), formatGoldenFile(cases));
  const files = await describeFiles(copy.path, path.basename(model.file));
  return {
    cid: files.cid,
    directory: files.directory,
    manifest: bareManifest(files, cases.length === 0 ? {} : { golden: { file: GOLDEN } }),
    [Symbol.asyncDispose]: async () => copy[Symbol.asyncDispose](),
  };
}

async function run(
  model: LoadedModel,
  inputs: Parameters<Parameters<typeof checkSample>[0]>[0],
  outputs: readonly string[] | undefined,
) {
  const named = Object.entries(inputs).map(([name, tensor]) => ({ name, tensor }));
  const result = await model.run(named, { limitMs: LIMIT_MS, outputs: outputs ?? [] });
  return Object.fromEntries(result.outputs.map(({ name, tensor }) => [name, tensor]));
}

function folderOf({ file }: LibraryModel): string {
  return path.join(MODEL_LIBRARY, path.dirname(file));
}
