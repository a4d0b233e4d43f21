import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { describeFiles } from '../support/model-folder.ts';
import {
  libraryModels,
  libraryTensor,
  MODEL_LIBRARY,
  MODEL_LIBRARY_ABSENT,
} from '../support/model-library.ts';
import { tensorDifferences } from '../support/tensor-differences.ts';

const LIMIT_MS = 30_000;

/** Real models, each with inputs and what they must give: pictures, sound, text, forests, each datatype, control flow. */
describe.skipIf(MODEL_LIBRARY_ABSENT !== undefined)(
  `OnnxBackend serves real models (${MODEL_LIBRARY_ABSENT ?? 'from the model library'})`,
  () => {
    const backend = createOnnxBackend({ threads: 1 });
    afterAll(async () => backend.stop());

    test('the library uses every datatype', () => {
      const used = libraryModels().flatMap(({ samples }) =>
        samples
          .filter((sample) => sample.kind === 'single')
          .flatMap(({ inputs, outputs }) => [...Object.values(inputs), ...Object.values(outputs)])
          .map(({ dtype }) => dtype),
      );
      expect(new Set(used).size).toBe(13);
    });

    test.each(libraryModels())('$name gives what it must', async ({ file, samples }) => {
      const folder = path.dirname(path.join(MODEL_LIBRARY, file));
      const model = await backend.load(await describeFiles(folder, path.basename(file)));
      try {
        const single = samples.filter((sample) => sample.kind === 'single');
        expect(single.length).toBeGreaterThan(0);
        for (const sample of single) {
          const inputs = Object.entries(sample.inputs).map(([name, tensor]) => ({
            name,
            tensor: libraryTensor(folder, tensor),
          }));
          const { outputs } = await model.run(inputs, {
            limitMs: LIMIT_MS,
            outputs: sample.fetch,
          });
          const expected = Object.entries(sample.outputs);
          expect(outputs.map(({ name }) => name).sort()).toEqual(
            expected.map(([name]) => name).sort(),
          );
          for (const { name, tensor } of outputs) {
            const want = sample.outputs[name];
            if (want === undefined) throw new Error(`no expectation of ${name}`);
            const wrong = tensorDifferences(tensor, libraryTensor(folder, want), sample.tolerance);
            expect({ sample: sample.id, name, wrong }).toEqual({
              sample: sample.id,
              name,
              wrong: [],
            });
          }
        }
      } finally {
        await model.unload();
      }
    });
  },
);
