import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoadedModel, RunResult } from '../../node/backend/backend.ts';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { isSwarmError } from '../../protocols/errors.ts';
import { type NamedTensor, Tensor } from '../../protocols/tensor.ts';
import type { TensorSpec } from '../../protocols/types.ts';
import { echoModel } from '../support/echo-model.ts';
import {
  type BadModel,
  badModels,
  type LibraryTensors,
  libraryTensor,
  MODEL_LIBRARY,
  MODEL_LIBRARY_ABSENT,
} from '../support/model-library.ts';
import { createModelFolder, describeFiles, type ModelFolder } from '../support/model-folder.ts';

/** Milliseconds one run may take: the slow ones end in time, the endless one does not. */
const LIMIT_MS = 5_000;

const witness = { name: 'x', tensor: Tensor.from('FP32', [2], [1, 2]) };

/** Broken, hostile and odd models: the index says of each what a node must do with it. */
describe.skipIf(MODEL_LIBRARY_ABSENT !== undefined)(
  `OnnxBackend and bad models (${MODEL_LIBRARY_ABSENT ?? 'from the model library'})`,
  () => {
    const backend = createOnnxBackend({ threads: 1, maxMemoryBytes: 2 * 1024 ** 3 });
    let folder: ModelFolder;
    let other: LoadedModel;
    beforeAll(async () => {
      folder = await createModelFolder(echoModel({ x: { datatype: 'FP32', shape: [2] } }));
      other = await backend.load(folder.files);
    });
    afterAll(async () => {
      await backend.stop();
      await folder?.[Symbol.asyncDispose]();
    });

    const load = async ({ file }: BadModel): Promise<LoadedModel> => {
      const place = path.join(MODEL_LIBRARY, 'bad', file);
      return backend.load(await describeFiles(path.dirname(place), path.basename(place)));
    };
    const otherServes = async (): Promise<void> => {
      await expect(other.run([witness], { limitMs: 5_000 })).resolves.toMatchObject({
        outputs: [{ name: 'x-out', tensor: witness.tensor }],
      });
    };
    const of = (must: RegExp) => badModels().filter((model) => must.test(model.must));

    test('each model of the index is one of those below', () => {
      const known = [REFUSED, HASH, BOUNDED, SERVED].flatMap((must) => of(must));
      expect(known.map(({ name }) => name).sort()).toEqual(
        badModels()
          .map(({ name }) => name)
          .sort(),
      );
    });

    test.each(of(REFUSED).filter(({ kind }) => kind !== 'host-dependent'))(
      '$name is refused by its name',
      async (bad) => {
        await expect(load(bad)).rejects.toMatchObject({
          code: 'ERR_INVALID_MODEL',
          // Says which file or tensor and, of this host's paths, nothing.
          message: expect.stringMatching(/^(?=.*(?:model\.onnx|put '))(?!.*shared\/models)/),
        });
        await otherServes();
      },
    );

    test.each(of(REFUSED).filter(({ kind }) => kind === 'host-dependent'))(
      '$name is refused, or served on a host that has what it asks for',
      async (bad) => {
        expect(['served', 'ERR_INVALID_MODEL']).toContain(await verdict(async () => load(bad)));
        await otherServes();
      },
    );

    // What is damaged so is found by the hash of its chunks, before any backend sees it.
    test.each(of(HASH))('$name loads and answers, or is refused', async (bad) => {
      const end = await verdict(async () => runWith(await load(bad)));
      expect(['served', 'ERR_INVALID_MODEL']).toContain(end);
    });

    test.each(of(BOUNDED))('$name is held by limits while others are served', async (bad) => {
      const model = await load(bad);
      const end = verdict(async () => runWith(model, bad.feeds));
      await otherServes();
      expect(['served', 'ERR_EXECUTION', 'ERR_LIMIT']).toContain(await end);
      await model.unload();
    });

    test.each(of(BOUNDED).filter(({ okFeeds }) => okFeeds !== undefined))(
      '$name serves modest input after it was given the other',
      async (bad) => {
        const model = await load(bad);
        expect(await verdict(async () => runWith(model, bad.feeds))).not.toBe('served');
        expect(await verdict(async () => runWith(model, bad.okFeeds))).toBe('served');
        await model.unload();
      },
    );

    test.each(of(SERVED))('$name is served right', async (bad) => {
      const model = await load(bad);
      const { outputs } = await runWith(model, bad.name === 'string-echo' ? TEXTS : bad.feeds);
      await model.unload();
      expect(outputs.map(({ name }) => name)).toEqual(model.outputs.map(({ name }) => name));
      ANSWERS[bad.name]?.(outputs[0]?.tensor as Tensor);
    });
  },
);

const REFUSED = /^fail with a clear error|not in the allow list/;
const HASH = /sha256/;
const BOUNDED = /^stay responsive/;
const SERVED = /^serve it|^report the real/;

/** Without the NUL of the index's own: ONNX Runtime for Node cannot take it, and the backend says so. */
const TEXTS = {
  x: { dtype: 'string', shape: [4], data: ['', '🦊 naïve', 'a\r\nb', 'x'.repeat(100_000)] },
};

/** What those answer whose answer is the point. */
const ANSWERS: Readonly<Record<string, (output: Tensor) => void>> = {
  'nan-inf-output': (output) =>
    expect(output.toArray()).toEqual([Number.NaN, Infinity, -Infinity, -0]),
  'int64-extreme': (output) =>
    expect(output.toArray()).toEqual([2n ** 53n + 1n, -(2n ** 63n), 2n ** 63n - 1n, -1n]),
  'scalar-io': (output) => expect(output.shape).toEqual([]),
  'string-echo': (output) => expect(output.strings()).toEqual(TEXTS.x.data),
  'wrong-declared-output': (output) => expect(output.shape).toEqual([3]),
};

/** How something ends: an error's code, or `served`. */
async function verdict(attempt: () => Promise<unknown>): Promise<unknown> {
  try {
    await attempt();
    return 'served';
  } catch (error) {
    return isSwarmError(error) ? error.code : error;
  }
}

async function runWith(model: LoadedModel, feeds?: LibraryTensors): Promise<RunResult> {
  const inputs: NamedTensor[] =
    feeds === undefined
      ? model.inputs.map((spec) => ({ name: spec.name, tensor: zeros(spec) }))
      : Object.entries(feeds).map(([name, tensor]) => ({
          name,
          tensor: libraryTensor('', tensor),
        }));
  return model.run(inputs, { limitMs: LIMIT_MS });
}

function zeros({ datatype, shape }: TensorSpec): Tensor {
  const sizes = shape.map((dimension) => (typeof dimension === 'number' ? dimension : 3));
  const count = sizes.reduce((product, size) => product * size, 1);
  return Tensor.from(datatype, sizes, new Float32Array(count));
}
