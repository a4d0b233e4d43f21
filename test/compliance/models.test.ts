import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { formatShape, type Tensor } from '../../protocols/tensor.ts';
import {
  type LibrarySample,
  libraryModels,
  libraryTensor,
  MODEL_LIBRARY,
  MODEL_LIBRARY_ABSENT,
} from '../support/model-library.ts';
import { describeFiles } from '../support/model-folder.ts';

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
          .filter(({ kind }) => kind === 'single')
          .flatMap(({ inputs, outputs }) => [...Object.values(inputs), ...Object.values(outputs)])
          .map(({ dtype }) => dtype),
      );
      expect(new Set(used).size).toBe(13);
    });

    test.each(libraryModels())('$name gives what it must', async ({ file, samples }) => {
      const folder = path.dirname(path.join(MODEL_LIBRARY, file));
      const model = await backend.load(await describeFiles(folder, path.basename(file)));
      try {
        const single = samples.filter(({ kind }) => kind === 'single');
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
            const wrong = differences(tensor, libraryTensor(folder, want), sample.tolerance);
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

/** Where a tensor is not the one expected: floating-point numbers within a tolerance, all else exactly. */
function differences(
  found: Tensor,
  expected: Tensor,
  { abs, rel }: LibrarySample['tolerance'],
): unknown[] {
  const form = ({ datatype, shape }: Tensor) => `${datatype} ${formatShape(shape)}`;
  if (form(found) !== form(expected)) return [{ found: form(found), expected: form(expected) }];
  const values: readonly unknown[] = found.toArray();
  const wanted: readonly unknown[] = expected.toArray();
  return wanted.flatMap((want, index) => {
    const value = values[index];
    const close =
      found.datatype.startsWith('FP') &&
      Math.abs(Number(value) - Number(want)) <= abs + rel * Math.abs(Number(want));
    return close || Object.is(value, want) ? [] : [{ index, value, want }];
  });
}
