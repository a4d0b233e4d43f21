import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoadedModel, RunResult } from '../../node/backend/backend.ts';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { isSwarmError } from '../../protocols/errors.ts';
import { Tensor } from '../../protocols/tensor.ts';
import {
  BAD_MODEL_ANSWERS,
  badModelInputs,
  badModelsThatAre,
  unknownBadModels,
} from '../support/bad-models.ts';
import { echoModel } from '../support/echo-model.ts';
import { createModelFolder, describeFiles, type ModelFolder } from '../support/model-folder.ts';
import {
  type BadModel,
  type LibraryTensors,
  MODEL_LIBRARY,
  MODEL_LIBRARY_ABSENT,
} from '../support/model-library.ts';

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

    test('each model of the index is one of those below', () => {
      expect(unknownBadModels()).toEqual([]);
    });

    test.each(badModelsThatAre('refused').filter(({ kind }) => kind !== 'host-dependent'))(
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

    test.each(badModelsThatAre('refused').filter(({ kind }) => kind === 'host-dependent'))(
      '$name is refused, or served on a host that has what it asks for',
      async (bad) => {
        expect(['served', 'ERR_INVALID_MODEL']).toContain(await verdict(async () => load(bad)));
        await otherServes();
      },
    );

    // What is damaged so is found by the hash of its chunks, before any backend sees it.
    test.each(badModelsThatAre('damaged'))(
      '$name loads and answers, or is refused',
      async (bad) => {
        const end = await verdict(async () => runWith(await load(bad), bad, bad.feeds));
        expect(['served', 'ERR_INVALID_MODEL']).toContain(end);
      },
    );

    test.each(badModelsThatAre('bounded'))(
      '$name is held by limits while others are served',
      async (bad) => {
        const model = await load(bad);
        const end = verdict(async () => runWith(model, bad, bad.feeds));
        await otherServes();
        expect(['served', 'ERR_EXECUTION', 'ERR_LIMIT']).toContain(await end);
        await model.unload();
      },
    );

    test.each(badModelsThatAre('bounded').filter(({ okFeeds }) => okFeeds !== undefined))(
      '$name serves modest input after it was given the other',
      async (bad) => {
        const model = await load(bad);
        expect(await verdict(async () => runWith(model, bad, bad.feeds))).not.toBe('served');
        expect(await verdict(async () => runWith(model, bad, bad.okFeeds))).toBe('served');
        await model.unload();
      },
    );

    test.each(badModelsThatAre('served'))('$name is served right', async (bad) => {
      const model = await load(bad);
      const { outputs } = await runWith(model, bad, bad.feeds);
      await model.unload();
      expect(outputs.map(({ name }) => name)).toEqual(model.outputs.map(({ name }) => name));
      BAD_MODEL_ANSWERS[bad.name]?.(outputs[0]?.tensor as Tensor);
    });
  },
);

/** How something ends: an error's code, or `served`. */
async function verdict(attempt: () => Promise<unknown>): Promise<unknown> {
  try {
    await attempt();
    return 'served';
  } catch (error) {
    return isSwarmError(error) ? error.code : error;
  }
}

async function runWith(
  model: LoadedModel,
  bad: BadModel,
  feeds: LibraryTensors | undefined,
): Promise<RunResult> {
  return model.run(badModelInputs(bad, model.inputs, feeds), { limitMs: LIMIT_MS });
}
