import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { hostIsolation } from '../../node/backend/isolation.ts';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { Tensor } from '../../protocols/tensor.ts';
import { echoModel } from '../support/echo-model.ts';
import { createModelFolder } from '../support/model-folder.ts';
import { createTestFolder } from '../support/test-folder.ts';

/**
 * Takes one file out of the folder that is its name and is killed for it; where none is left it becomes what it was started for.
 * What a process's parent sees of it is what it sees of any SIGKILL, at a moment that is the same in each run.
 */
const KILLED_FOR_EACH_FILE =
  'for file in "$0"/*; do if rm "$file" 2>/dev/null; then kill -KILL $$; fi; done; exec "$@"';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** Loads a model whose processes are killed from outside, the first `kills` of them while they load it. */
async function loadDisturbed(kills: number) {
  const folder = await createModelFolder(echoModel({ x: { datatype: 'FP32', shape: ['n'] } }));
  const work = await createTestFolder();
  const killers = await createTestFolder();
  for (let kill = 0; kill < kills; kill += 1) {
    await writeFile(path.join(killers.path, String(kill)), '');
  }
  const { kind, launcher } = await hostIsolation();
  const disturbed = ['sh', '-c', KILLED_FOR_EACH_FILE, killers.path, ...launcher];
  const isolation = { kind, launcher: disturbed };
  const backend = createOnnxBackend({ threads: 1, workDir: work.path, isolation });
  cleanups.push(
    async () => killers[Symbol.asyncDispose](),
    async () => work[Symbol.asyncDispose](),
    async () => folder[Symbol.asyncDispose](),
    async () => backend.stop(),
  );
  return backend.load(folder.files);
}

describe.skipIf(process.platform !== 'linux')(
  'a model whose process is killed from outside',
  () => {
    test('is loaded by another when it happens once', async () => {
      const model = await loadDisturbed(1);
      const x = Tensor.from('FP32', [2], [1, 2]);
      const { outputs } = await model.run([{ name: 'x', tensor: x }], { limitMs: 10_000 });
      expect(outputs[0]?.tensor.toArray()).toEqual([1, 2]);
    });

    test('is not loaded when it happens twice, and nothing is said against the model', async () => {
      await expect(loadDisturbed(2)).rejects.toMatchObject({
        code: 'ERR_EXECUTION',
        message: 'process was killed by SIGKILL while it loaded model.onnx',
      });
    });
  },
);
